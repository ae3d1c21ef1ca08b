package network

import (
	"context"

	"github.com/dstackless/dstackless/channel"
)

// A census is what a home knows of who waits on its channel.
type census struct {
	sends, receives int
	waits           bool // the operation that was asked for is one of them
	lost            bool // the home is
}

// maxQuestions is how many answers of the home may be waited for on a channel.
const maxQuestions = 1024

// Balance implements [channel.Endpoint].
func (e *endpoint) Balance(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if e.Closed() {
		return 0, channel.ErrClosed
	}
	c, err := e.channel.inquire(ctx, 0)
	return c.sends - c.receives, err
}

// count returns what this peer knows of who waits.
func (cs *channelState) count() census {
	return census{
		sends:    cs.sends.length + cs.remoteSends.length,
		receives: cs.receives.length + cs.remoteReceives.length,
	}
}

// inquire asks the home who waits, and whether the operation op does. Without a
// home it counts those who wait here.
func (cs *channelState) inquire(ctx context.Context, op uint64) (census, error) {
	for {
		cs.mu.Lock()
		if cs.home == nil || cs.attachments[cs.home] == nil {
			defer cs.mu.Unlock()
			return cs.count(), nil
		}
		if len(cs.questions) >= maxQuestions {
			cs.mu.Unlock()
			return census{}, channel.ErrLimit
		}
		cs.lastID++
		id, answer := cs.lastID, make(chan census, 1)
		cs.questions[id] = answer
		cs.home.send(frame{kind: probe, number: cs.number, send: id, receive: op})
		cs.mu.Unlock()
		select {
		case c := <-answer:
			if !c.lost {
				return c, nil
			}
		case <-ctx.Done():
			cs.mu.Lock()
			delete(cs.questions, id)
			cs.mu.Unlock()
			return census{}, ctx.Err()
		}
	}
}

// onProbe: a member asks who waits.
func (cs *channelState) onProbe(s *session, att *attachment, f *frame) {
	if !cs.isHome() {
		cs.greet(s, att) // the answer comes from another
		return
	}
	c := cs.count()
	op := att.ops[f.receive]
	s.send(frame{
		kind: probed, number: cs.number, send: f.send,
		sends: uint64(c.sends), receives: uint64(c.receives), waits: op != nil && op.in != nil,
	})
}

// onProbed: the home has answered.
func (cs *channelState) onProbed(s *session, f *frame) {
	if answer := cs.questions[f.send]; answer != nil && s == cs.home {
		delete(cs.questions, f.send)
		answer <- census{sends: int(f.sends), receives: int(f.receives), waits: f.waits}
	}
}

// forgetQuestions lets those who wait for an answer of the home ask again.
func (cs *channelState) forgetQuestions() {
	for id, answer := range cs.questions {
		delete(cs.questions, id)
		answer <- census{lost: true}
	}
}
