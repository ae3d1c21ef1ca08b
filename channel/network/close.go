package network

import (
	"context"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// drainTimeout is how long a home waits for its members to hear that the channel
// is closed: a send that one of them began before belongs to what is drained.
const drainTimeout = 2 * time.Second

// Close implements [channel.Endpoint].
func (e *endpoint) Close(ctx context.Context) error {
	cs := e.channel
	cs.mu.Lock()
	if e.left || cs.gone {
		cs.mu.Unlock()
		return channel.ErrClosed
	}
	cs.closeForAll()
	acknowledged := cs.closeAckedSignal()
	cs.unlock()
	select {
	case <-acknowledged:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-cs.space.ctx.Done():
		return channel.ErrClosed
	}
}

// closeForAll notes that the channel is closed, and tells everyone. A channel that
// is closed stays so for as long as somebody has it open.
func (cs *channelState) closeForAll() {
	if !cs.closed {
		cs.closed = true
		cs.drainTimer = time.AfterFunc(drainTimeout, func() {
			cs.mu.Lock()
			defer cs.unlock()
			cs.drainOverdue = true
		})
		for s, att := range cs.attachments {
			if att.helloSent {
				cs.sendClosed(s, att)
			}
		}
	}
	if cs.isHome() {
		cs.ackClose()
	}
}

// ackClose lets Close return: the home knows.
func (cs *channelState) ackClose() {
	acknowledged := cs.closeAckedSignal()
	select {
	case <-acknowledged:
	default:
		close(acknowledged)
	}
}

// closeAckedSignal returns what is closed when the home knows.
func (cs *channelState) closeAckedSignal() chan struct{} {
	if cs.closeAcked == nil {
		cs.closeAcked = make(chan struct{})
	}
	return cs.closeAcked
}

// sendClosed tells the other side of s, once, that the channel is closed.
func (cs *channelState) sendClosed(s *session, att *attachment) {
	if cs.closed && !att.closeSent {
		att.closeSent = true
		s.send(frame{kind: channelClosed, number: cs.number})
	}
}

// onClosed: the other side knows that the channel is closed. It begins no more
// sends; those that it began came before.
func (cs *channelState) onClosed(s *session, att *attachment) {
	att.closeReceived = true
	cs.closeForAll()
	cs.sendClosed(s, att)
	if s == cs.home {
		cs.ackClose()
	}
}

// drain ends the receives of a closed channel when, as its home, this peer
// knows of no send that they could have.
func (cs *channelState) drain() {
	if !cs.isHome() || cs.gone || cs.sends.length+cs.remoteSends.length+len(cs.pairs) > 0 || cs.inFlight() {
		return
	}
	for _, att := range cs.attachments {
		if att.joined && !att.closeReceived && !cs.drainOverdue {
			return
		}
	}
	told := map[*session]bool{}
	for r := cs.remoteReceives.first; r != nil; r = cs.remoteReceives.first {
		if !told[r.owner] {
			told[r.owner] = true
			r.owner.send(frame{kind: drained, number: cs.number})
		}
		cs.forgetRemote(r)
	}
	cs.onDrained()
}

// onDrained: no send is left that the receives of this peer could have.
func (cs *channelState) onDrained() {
	if cs.sends.length > 0 {
		return // they come to the home, which then thinks otherwise
	}
	for r := cs.receives.first; r != nil; r = cs.receives.first {
		r.registered = false
		cs.finish(r, channel.ErrClosed)
	}
}
