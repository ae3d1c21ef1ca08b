package network

import (
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// onQueued: the home did not take the value of a send, and has it in its queue.
func (cs *channelState) onQueued(s *session, f *frame) {
	op := cs.exposed[f.send]
	if op == nil || !op.with(s) || f.attempt != op.attempt {
		return
	}
	// It may have been home before, and be it again.
	if s != cs.home || op.term != cs.claim.term || op.offer.asks {
		cs.reoffer(op)
		return
	}
	cs.endOffer(op)
	op.registered = true
	if err := op.unwanted(); err != nil {
		cs.finish(op, err)
		return
	}
	cs.eager = false
	cs.sends.restore(op)
	if cs.turn(op) {
		cs.place(op)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (cs *channelState) onMatch(s *session, f *frame) {
	op := cs.exposed[f.send]
	current := op != nil && op.sink == nil && f.attempt == op.attempt
	if current && s == cs.home {
		op.registered = false // it has struck it out
	}
	if !current || !cs.follows(op, s, f.peer) {
		what := gone
		// Once follows has ended it, it belongs to its caller.
		if op := cs.exposed[f.send]; op != nil && op.ordered {
			what, op.blocks = later, true // nothing of the lane may pass it
		}
		s.send(frame{kind: settle, number: cs.number, send: f.send, receive: f.receive, outcome: what})
		if what == later {
			cs.pump()
		}
		return
	}
	o := offer{to: f.peer, incarnation: f.incarnation, receive: f.receive, matcher: s}
	if f.peer == s.peer {
		o.via, o.incarnation = s, s.incarnation
		cs.direct(op, o)
		return
	}
	cs.space.node.AddAddrs(f.peer, f.addrs)
	if sn := cs.space.sessionTo(f.peer); sn != nil {
		o.via, o.incarnation = sn, sn.incarnation
		cs.direct(op, o)
		return
	}
	// Set aside while the peer is dialled. If it cannot be reached, the home
	// passes the value on.
	cs.endOffer(op)
	op.remove()
	op.offered, op.offer = true, o
	id := op.id
	cs.space.spawn(func() {
		sn, err := cs.space.dial(cs.space.ctx, o.to)
		cs.mu.Lock()
		defer cs.unlock()
		if op := cs.exposed[id]; op == nil || !op.offered || op.offer != o {
			return
		}
		switch {
		case op.unwanted() != nil:
			cs.settleGone(op)
			cs.reoffer(op)
		case err == nil:
			op.offer.via, op.offer.incarnation = sn, sn.incarnation
			cs.transmit(op)
		case cs.attachments[s] != nil:
			cs.space.log.Debug("value goes by way of the home", "channel", cs.name, "peer", o.to, "home", s.peer, "reason", err)
			op.offer.via = s
			cs.transmit(op)
		default:
			cs.reoffer(op)
		}
	})
}

// follows reports whether op, a send of this peer, follows a match that the
// peer of s has made with a receive of another.
func (cs *channelState) follows(op *operation, s *session, with p2p.ID) bool {
	if op.in == nil && !op.with(s) {
		return false
	}
	if err := op.unwanted(); err != nil {
		cs.finish(op, err)
		return false
	}
	if with == cs.self() || !cs.turn(op) || !op.reserve() {
		if op.ordered {
			cs.lane.unknown(op)
		}
		if op.in == nil {
			cs.endOffer(op)
			cs.sends.restore(op)
		}
		if !op.ordered && op.choice == nil {
			cs.register(op)
		}
		return false
	}
	if err := op.encode(); err != nil {
		cs.finish(op, err)
		return false
	}
	return true
}

// direct offers op, which may be with the home, to the one receive that was
// found for it.
func (cs *channelState) direct(op *operation, o offer) {
	cs.endOffer(op)
	cs.offer(op, o)
}

// onDeliver: another peer offers a value to a receive of this one, or to that
// of a member which it cannot reach.
func (cs *channelState) onDeliver(s *session, att *attachment, f *frame) {
	origin := s.peer
	switch {
	case f.pass:
		if !cs.passOn(s, f) {
			cs.refuse(s, f)
		}
		return
	case f.peer != "" && s.peer != cs.claim.home:
		cs.refuse(s, f) // only the home passes on
		return
	case f.peer != "":
		origin = f.peer
	}
	cs.unpair(remoteID{s, f.send}) // if this peer is the home: settled here
	cs.sendHelloOnce(s)
	if (f.again || f.peer != "") && cs.space.wasAccepted(origin, f.send) {
		s.send(frame{kind: accept, number: cs.number, send: f.send, peer: f.peer})
		return
	}
	if (f.again || f.peer != "") && !cs.space.mayRemember(s.peer) {
		cs.refuse(s, f)
		s.end(errUnacked)
		return
	}
	r := cs.exposed[f.receive]
	waits := r != nil && r.sink != nil && r.in != nil
	if waits { // whoever made the match has struck it out
		r.registered, r.promised = false, false
	}
	void := f.peer != "" && cs.space.isFenced(origin, f.send)
	if f.again { // what is passed on late does not count
		cs.space.rememberFenced(origin, s.peer, f.send)
	}
	switch {
	case !waits:
		cs.refuse(s, f)
	case void:
		cs.refuse(s, f)
		if r.free() {
			cs.submit(r)
		}
	case commit(r, nil):
		cs.accept(s, f, r)
	case r.choice.isTentative() && !r.choice.yields(origin, f.choice) && (r.kept == nil || r.kept.is(origin, f.send)):
		r.kept = &kept{from: s, origin: origin, frame: *f}
	default:
		cs.refuse(s, f)
	}
}

// accept takes the value of a deliver frame for the receive r, and says so.
func (cs *channelState) accept(s *session, f *frame, r *operation) {
	if att := cs.attachments[s]; att != nil && f.peer == "" && att.blocked == f.send {
		att.blocked = 0
	}
	cs.take(r, f.value)
	if f.peer != "" {
		cs.space.rememberAccepted(f.peer, s.peer, f.send)
	}
	s.send(frame{kind: accept, number: cs.number, send: f.send, peer: f.peer})
	if cs.isHome() {
		cs.rematch()
	}
}

// refuse answers a deliver frame whose value is not wanted.
func (cs *channelState) refuse(s *session, f *frame) {
	s.send(frame{kind: refuse, number: cs.number, send: f.send, peer: f.peer})
}

// take gives a value that came from another peer to a receive of this one.
func (cs *channelState) take(r *operation, value []byte) {
	cs.hand(channel.Bytes(value), r)
}

// onAnswer: a value was accepted or refused.
func (cs *channelState) onAnswer(s *session, f *frame) {
	to := s.peer
	if f.peer != "" {
		to = f.peer
	}
	op := cs.exposed[f.send]
	if op == nil || !op.offered || op.offer.via != s || op.offer.to != to {
		cs.passBack(s, f)
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != nil && by.peer != to {
		by.send(frame{kind: settle, number: cs.number, send: op.id, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		if s == cs.home && to == s.peer {
			cs.eager = true
		}
		cs.finish(op, nil)
	} else {
		cs.reoffer(op)
	}
}
