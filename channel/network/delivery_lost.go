package network

import (
	"cmp"
	"slices"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/internal/backoff"
	"github.com/dstackless/dstackless/p2p"
)

// resumeTimeout is how long a peer that was lost while it took a value is sought,
// before the send is in doubt.
const resumeTimeout = 10 * time.Second

// onSessionLost: a session has ended, and what its peer heard or said last is not
// known.
func (cs *channelState) onSessionLost(s *session) {
	cs.mu.Lock()
	defer cs.unlock()
	cs.sessionLost(s)
}

func (cs *channelState) sessionLost(s *session) {
	att := cs.attachments[s]
	if att == nil {
		return
	}
	delete(cs.attachments, s)
	cs.forgetOperations(s, att)
	cs.failRelayed(s, att, false)
	for _, op := range cs.remoteVisible {
		if op.offered && op.offer.via == s {
			cs.startResume(op)
		}
		if op.deferred != nil && op.deferred.from == s {
			op.deferred = nil // it is offered again
		}
	}
	if cs.home == s {
		cs.home = nil
		cs.unregisterAll()
		cs.seekHome()
	}
}

// startResume begins to ask the peer that was taking a value whether it did.
func (cs *channelState) startResume(op *operation) {
	op.offer.via, op.offer.resumed = nil, true
	to := op.offer.to
	if cs.resuming[to] {
		return
	}
	cs.resuming[to] = true
	cs.space.spawn(func() { cs.resume(to) })
}

// lostSendsTo returns the sends that a peer was taking when its session was lost, in
// their order.
func (cs *channelState) lostSendsTo(peer p2p.ID) (ops []*operation) {
	for _, op := range cs.remoteVisible {
		if op.offered && op.offer.resumed && op.offer.via == nil && op.offer.to == peer {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b *operation) int { return cmp.Compare(a.id, b.id) })
	return ops
}

// endInDoubt ends an offered send whose outcome will not be heard.
func (cs *channelState) endInDoubt(op *operation) {
	if via := op.offer.via; via != nil {
		via.abandon(len(op.encoded))
	}
	cs.reportGone(op)
	cs.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})
}

// reportGone lets the home have the receive back that it set aside for op. If
// the receive has its value already, its owner refuses the next.
func (cs *channelState) reportGone(op *operation) {
	if by := op.offer.matcher; by != nil {
		by.send(frame{kind: matchResult, number: cs.number, send: op.id, receive: op.offer.receive, outcome: gone})
	}
}

// resume offers again what was lost on its way to a peer. If the peer has been
// started anew, it cannot know.
func (cs *channelState) resume(to p2p.ID) {
	start := time.Now()
	pause := backoff.Backoff{First: 20 * time.Millisecond, Max: time.Second}
	for ; ; pause.Wait(cs.space.ctx) {
		sn, err := cs.space.dial(cs.space.ctx, to)
		over := cs.space.ctx.Err() != nil || time.Since(start) > resumeTimeout
		cs.mu.Lock()
		for _, op := range cs.lostSendsTo(to) {
			switch {
			case err == nil && op.offer.incarnation == sn.incarnation:
				op.offer.via = sn
				cs.sendOffer(op)
			case err == nil || over:
				cs.endInDoubt(op)
			}
		}
		if len(cs.lostSendsTo(to)) == 0 { // this session may have ended, too
			delete(cs.resuming, to)
			cs.unlock()
			return
		}
		cs.mu.Unlock()
	}
}
