package network

import (
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// onQueued: the home did not take the value of a send, and has it in its queue.
func (cs *channelState) onQueued(s *session, f *frame) {
	op := cs.remoteVisible[f.send]
	if op == nil || !op.isAtHome(s) || f.attempt != op.attempt {
		return
	}
	// It may have been home before, and be it again.
	if s != cs.home || op.term != cs.claim.term || op.offer.asksOnly {
		cs.reoffer(op)
		return
	}
	cs.endOffer(op)
	op.registered = true
	if err := op.unwanted(); err != nil {
		cs.finish(op, err)
		return
	}
	cs.homeReceivedLast = false
	cs.sends.restore(op)
	if cs.isNext(op) {
		cs.matchSend(op)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (cs *channelState) onMatch(s *session, f *frame) {
	op := cs.remoteVisible[f.send]
	current := op != nil && op.sink == nil && f.attempt == op.attempt
	if current && s == cs.home {
		op.registered = false // it has struck it out
	}
	if !current || !cs.follows(op, s, f.peer) {
		what := gone
		// Once follows has ended it, it belongs to its caller.
		if op := cs.remoteVisible[f.send]; op != nil && op.ordered {
			what, op.blocks = later, true // nothing of the pipeline may pass it
		}
		s.send(frame{kind: matchResult, number: cs.number, send: f.send, receive: f.receive, outcome: what})
		if what == later {
			cs.registerPipeline()
		}
		return
	}
	o := offer{to: f.peer, incarnation: f.incarnation, receive: f.receive, matcher: s}
	if f.peer == s.peer {
		o.via, o.incarnation = s, s.incarnation
		cs.offerTo(op, o)
		return
	}
	cs.space.node.AddAddrs(f.peer, f.addrs)
	if sn := cs.space.sessionTo(f.peer); sn != nil {
		o.via, o.incarnation = sn, sn.incarnation
		cs.offerTo(op, o)
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
		if op := cs.remoteVisible[id]; op == nil || !op.offered || op.offer != o {
			return
		}
		switch {
		case op.unwanted() != nil:
			cs.reportGone(op)
			cs.reoffer(op)
		case err == nil:
			op.offer.via, op.offer.incarnation = sn, sn.incarnation
			cs.sendOffer(op)
		case cs.attachments[s] != nil:
			cs.space.log.Debug("value is relayed by the home", "channel", cs.name, "peer", o.to, "home", s.peer, "error", err)
			op.offer.via = s
			cs.sendOffer(op)
		default:
			cs.reoffer(op)
		}
	})
}

// follows reports whether op, a send of this peer, follows a match that the
// peer of s has made with a receive of another.
func (cs *channelState) follows(op *operation, s *session, with p2p.ID) bool {
	if op.in == nil && !op.isAtHome(s) {
		return false
	}
	if err := op.unwanted(); err != nil {
		cs.finish(op, err)
		return false
	}
	if with == cs.self() || !cs.isNext(op) || !op.reserve() {
		if op.ordered {
			cs.pipeline.unregister(op)
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

// offerTo offers op, which may be with the home, to the one receive that was
// found for it.
func (cs *channelState) offerTo(op *operation, o offer) {
	cs.endOffer(op)
	cs.offer(op, o)
}

// onDeliver: another peer offers a value to a receive of this one, or to that
// of a member which it cannot reach.
func (cs *channelState) onDeliver(s *session, att *attachment, f *frame) {
	origin := s.peer
	switch {
	case f.relay:
		if !cs.relay(s, f) {
			cs.refuseValue(s, f)
		}
		return
	case f.peer != "" && s.peer != cs.claim.home:
		cs.refuseValue(s, f) // only the home passes on
		return
	case f.peer != "":
		origin = f.peer
	}
	cs.unpair(remoteID{s, f.send}) // if this peer is the home: settled here
	cs.sendHelloOnce(s)
	if (f.resumed || f.peer != "") && cs.space.wasAccepted(origin, f.send) {
		s.send(frame{kind: accept, number: cs.number, send: f.send, peer: f.peer})
		return
	}
	if (f.resumed || f.peer != "") && !cs.space.mayRemember(s.peer) {
		cs.refuseValue(s, f)
		s.end(errUnacked)
		return
	}
	r := cs.remoteVisible[f.receive]
	waits := r != nil && r.sink != nil && r.in != nil
	if waits { // whoever made the match has struck it out
		r.registered, r.promised = false, false
	}
	void := f.peer != "" && cs.space.isFenced(origin, f.send)
	if f.resumed { // what is passed on late does not count
		cs.space.rememberFenced(origin, s.peer, f.send)
	}
	switch {
	case !waits:
		cs.refuseValue(s, f)
	case void:
		cs.refuseValue(s, f)
		if r.free() {
			cs.submit(r)
		}
	case commit(r, nil):
		cs.acceptValue(s, f, r)
	case r.choice.isTentative() && !r.choice.mustRefuse(origin, f.choice) && (r.deferred == nil || r.deferred.is(origin, f.send)):
		r.deferred = &deferredOffer{from: s, origin: origin, frame: *f}
	default:
		cs.refuseValue(s, f)
	}
}

// acceptValue takes the value of a deliver frame for the receive r, and says so.
func (cs *channelState) acceptValue(s *session, f *frame, r *operation) {
	if att := cs.attachments[s]; att != nil && f.peer == "" && att.blocked == f.send {
		att.blocked = 0
	}
	cs.deliverRemote(r, f.value)
	if f.peer != "" {
		cs.space.rememberAccepted(f.peer, s.peer, f.send)
	}
	s.send(frame{kind: accept, number: cs.number, send: f.send, peer: f.peer})
	if cs.isHome() {
		cs.rematch()
	}
}

// refuseValue answers a deliver frame whose value is not wanted.
func (cs *channelState) refuseValue(s *session, f *frame) {
	s.send(frame{kind: refuse, number: cs.number, send: f.send, peer: f.peer})
}

// deliverRemote gives a value that came from another peer to a receive of this one.
func (cs *channelState) deliverRemote(r *operation, value []byte) {
	cs.deliverLocal(channel.Bytes(value), r)
}

// onAnswer: a value was accepted or refused.
func (cs *channelState) onAnswer(s *session, f *frame) {
	to := s.peer
	if f.peer != "" {
		to = f.peer
	}
	op := cs.remoteVisible[f.send]
	if op == nil || !op.offered || op.offer.via != s || op.offer.to != to {
		cs.relayAnswer(s, f)
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != nil && by.peer != to {
		by.send(frame{kind: matchResult, number: cs.number, send: op.id, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		if s == cs.home && to == s.peer {
			cs.homeReceivedLast = true
		}
		cs.finish(op, nil)
	} else {
		cs.reoffer(op)
	}
}
