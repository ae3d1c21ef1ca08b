package network

import (
	"context"

	"github.com/dstackless/dstackless/channel"
)

// A waiterCount is what a home knows of who waits on its channel.
type waiterCount struct {
	sends, receives int
	waits           bool // the operation that was asked for is one of them
	lost            bool // the home is
}

// maxPendingProbes is how many answers of the home may be waited for on a channel.
const maxPendingProbes = 1024

// Balance implements [channel.Endpoint].
func (e *endpoint) Balance(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if e.Closed() {
		return 0, channel.ErrClosed
	}
	c, err := e.channel.probeHome(ctx, 0)
	return c.sends - c.receives, err
}

// countWaiters returns what this peer knows of who waits.
func (cs *channelState) countWaiters() waiterCount {
	return waiterCount{
		sends:    cs.sends.length + cs.remoteSends.length,
		receives: cs.receives.length + cs.remoteReceives.length,
	}
}

// probeHome asks the home who waits, and whether the operation op does. Without a
// home it counts those who wait here.
func (cs *channelState) probeHome(ctx context.Context, op uint64) (waiterCount, error) {
	for {
		cs.mu.Lock()
		if cs.home == nil || cs.attachments[cs.home] == nil {
			defer cs.mu.Unlock()
			return cs.countWaiters(), nil
		}
		if len(cs.pendingProbes) >= maxPendingProbes {
			cs.mu.Unlock()
			return waiterCount{}, channel.ErrLimit
		}
		cs.lastID++
		id, answer := cs.lastID, make(chan waiterCount, 1)
		cs.pendingProbes[id] = answer
		cs.home.send(frame{kind: probe, number: cs.number, send: id, receive: op})
		cs.mu.Unlock()
		select {
		case c := <-answer:
			if !c.lost {
				return c, nil
			}
		case <-ctx.Done():
			cs.mu.Lock()
			delete(cs.pendingProbes, id)
			cs.mu.Unlock()
			return waiterCount{}, ctx.Err()
		}
	}
}

// onProbe: a member asks who waits.
func (cs *channelState) onProbe(s *session, att *attachment, f *frame) {
	if !cs.isHome() {
		cs.sendHello(s, att) // the answer comes from another
		return
	}
	c := cs.countWaiters()
	op := att.ops[f.receive]
	s.send(frame{
		kind: probeReply, number: cs.number, send: f.send,
		sends: uint64(c.sends), receives: uint64(c.receives), waits: op != nil && op.in != nil,
	})
}

// onProbed: the home has answered.
func (cs *channelState) onProbed(s *session, f *frame) {
	if answer := cs.pendingProbes[f.send]; answer != nil && s == cs.home {
		delete(cs.pendingProbes, f.send)
		answer <- waiterCount{sends: int(f.sends), receives: int(f.receives), waits: f.waits}
	}
}

// failProbes lets those who wait for an answer of the home ask again.
func (cs *channelState) failProbes() {
	for id, answer := range cs.pendingProbes {
		delete(cs.pendingProbes, id)
		answer <- waiterCount{lost: true}
	}
}
