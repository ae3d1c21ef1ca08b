package network

import (
	"cmp"
	"slices"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// resumeTimeout is how long a peer that was lost while it took a value is sought,
// before the send is in doubt.
const resumeTimeout = 10 * time.Second

// onLost: a session has ended, and what its peer heard or said last is not
// known.
func (cs *channelState) onLost(s *session) {
	cs.mu.Lock()
	defer cs.unlock()
	cs.lost(s)
}

func (cs *channelState) lost(s *session) {
	att := cs.attachments[s]
	if att == nil {
		return
	}
	delete(cs.attachments, s)
	cs.dissolve(s, att)
	cs.strand(s, att, false)
	for _, op := range cs.exposed {
		if op.offered && op.offer.via == s {
			cs.lose(op)
		}
		if op.kept != nil && op.kept.from == s {
			op.kept = nil // it is offered again
		}
	}
	if cs.home == s {
		cs.home = nil
		cs.unregisterAll()
		cs.seekHome()
	}
}

// lose begins to ask the peer that was taking a value whether it did.
func (cs *channelState) lose(op *operation) {
	op.offer.via, op.offer.again = nil, true
	to := op.offer.to
	if cs.resumes[to] {
		return
	}
	cs.resumes[to] = true
	cs.space.spawn(func() { cs.resume(to) })
}

// lostTo returns the sends that a peer was taking when its session was lost, in
// their order.
func (cs *channelState) lostTo(peer p2p.ID) (ops []*operation) {
	for _, op := range cs.exposed {
		if op.offered && op.offer.again && op.offer.via == nil && op.offer.to == peer {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b *operation) int { return cmp.Compare(a.id, b.id) })
	return ops
}

// doubt ends an offered send whose outcome will not be heard.
func (cs *channelState) doubt(op *operation) {
	if via := op.offer.via; via != nil {
		via.abandon(len(op.encoded))
	}
	cs.settleGone(op)
	cs.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})
}

// settleGone lets the home have the receive back that it set aside for op. If
// the receive has its value already, its owner refuses the next.
func (cs *channelState) settleGone(op *operation) {
	if by := op.offer.matcher; by != nil {
		by.send(frame{kind: settle, number: cs.number, send: op.id, receive: op.offer.receive, outcome: gone})
	}
}

// resume offers again what was lost on its way to a peer. If the peer has been
// started anew, it cannot know.
func (cs *channelState) resume(to p2p.ID) {
	start := time.Now()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		sn, err := cs.space.dial(cs.space.ctx, to)
		over := cs.space.ctx.Err() != nil || time.Since(start) > resumeTimeout
		cs.mu.Lock()
		for _, op := range cs.lostTo(to) {
			switch {
			case err == nil && op.offer.incarnation == sn.incarnation:
				op.offer.via = sn
				cs.transmit(op)
			case err == nil || over:
				cs.doubt(op)
			}
		}
		if len(cs.lostTo(to)) == 0 { // this session may have ended, too
			delete(cs.resumes, to)
			cs.unlock()
			return
		}
		cs.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-cs.space.ctx.Done():
		}
	}
}
