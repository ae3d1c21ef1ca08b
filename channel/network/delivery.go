package network

import (
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// onQueued: the home did not take the value of a send, and has it in its queue.
func (m *member) onQueued(s *session, f *frame) {
	op := m.exposed[f.send]
	if op == nil || !op.with(s) || f.at != op.at {
		return
	}
	// It may have been home before, and be it again.
	if s != m.home || op.under != m.claim.generation || op.offer.asks {
		m.reoffer(op)
		return
	}
	m.endOffer(op)
	op.registered = true
	if err := op.unwanted(); err != nil {
		m.finish(op, err)
		return
	}
	m.eager = false
	m.sends.restore(op)
	if m.turn(op) {
		m.place(op)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (m *member) onMatch(s *session, f *frame) {
	op := m.exposed[f.send]
	current := op != nil && op.sink == nil && f.at == op.at
	if current && s == m.home {
		op.registered = false // it has struck it out
	}
	if !current || !m.follows(op, s, f.peer) {
		what := gone
		// Once follows has ended it, it belongs to its caller.
		if op := m.exposed[f.send]; op != nil && op.ordered {
			what, op.blocks = later, true // nothing of the lane may pass it
		}
		s.send(frame{kind: settle, number: m.number, send: f.send, receive: f.receive, outcome: what})
		if what == later {
			m.pump()
		}
		return
	}
	o := offer{to: f.peer, run: f.run, receive: f.receive, matcher: s}
	if f.peer == s.peer {
		o.via, o.run = s, s.run
		m.direct(op, o)
		return
	}
	m.space.node.AddAddrs(f.peer, f.addrs)
	if sn := m.space.to(f.peer); sn != nil {
		o.via, o.run = sn, sn.run
		m.direct(op, o)
		return
	}
	// Set aside while the peer is dialled. If it cannot be reached, the home
	// passes the value on.
	m.endOffer(op)
	op.remove()
	op.offered, op.offer = true, o
	id := op.id
	m.space.spawn(func() {
		sn, err := m.space.dial(m.space.ctx, o.to)
		m.mu.Lock()
		defer m.unlock()
		if op := m.exposed[id]; op == nil || !op.offered || op.offer != o {
			return
		}
		switch {
		case op.unwanted() != nil:
			m.settleGone(op)
			m.reoffer(op)
		case err == nil:
			op.offer.via, op.offer.run = sn, sn.run
			m.transmit(op)
		case m.ties[s] != nil:
			m.space.log.Debug("value goes by way of the home", "channel", m.name, "peer", o.to, "home", s.peer, "reason", err)
			op.offer.via = s
			m.transmit(op)
		default:
			m.reoffer(op)
		}
	})
}

// follows reports whether op, a send of this peer, follows a match that the
// peer of s has made with a receive of another.
func (m *member) follows(op *operation, s *session, with p2p.ID) bool {
	if op.in == nil && !op.with(s) {
		return false
	}
	if err := op.unwanted(); err != nil {
		m.finish(op, err)
		return false
	}
	if with == m.self() || !m.turn(op) || !op.reserve() {
		if op.ordered {
			m.lane.unknown(op)
		}
		if op.in == nil {
			m.endOffer(op)
			m.sends.restore(op)
		}
		if !op.ordered && op.choice == nil {
			m.register(op)
		}
		return false
	}
	if err := op.encode(); err != nil {
		m.finish(op, err)
		return false
	}
	return true
}

// direct offers op, which may be with the home, to the one receive that was
// found for it.
func (m *member) direct(op *operation, o offer) {
	m.endOffer(op)
	m.offer(op, o)
}

// onDeliver: another peer offers a value to a receive of this one, or to that
// of a member which it cannot reach.
func (m *member) onDeliver(s *session, t *tie, f *frame) {
	origin := s.peer
	switch {
	case f.pass:
		if !m.passOn(s, f) {
			m.refuse(s, f)
		}
		return
	case f.peer != "" && s.peer != m.claim.home:
		m.refuse(s, f) // only the home passes on
		return
	case f.peer != "":
		origin = f.peer
	}
	m.unpair(remoteID{s, f.send}) // if this peer is the home: settled here
	m.greetOnce(s)
	if (f.again || f.peer != "") && m.space.wasTaken(origin, f.send) {
		s.send(frame{kind: accept, number: m.number, send: f.send, peer: f.peer})
		return
	}
	if (f.again || f.peer != "") && !m.space.mayKeep(s.peer) {
		m.refuse(s, f)
		s.end(errUnsettled)
		return
	}
	r := m.exposed[f.receive]
	waits := r != nil && r.sink != nil && r.in != nil
	if waits { // whoever made the match has struck it out
		r.registered, r.promised = false, false
	}
	void := f.peer != "" && m.space.isVoid(origin, f.send)
	if f.again { // what is passed on late does not count
		m.space.keepVoid(origin, s.peer, f.send)
	}
	switch {
	case !waits:
		m.refuse(s, f)
	case void:
		m.refuse(s, f)
		if r.free() {
			m.submit(r)
		}
	case commit(r, nil):
		m.accept(s, f, r)
	case r.choice.isTentative() && !r.choice.yields(origin, f.choice) && (r.kept == nil || r.kept.is(origin, f.send)):
		r.kept = &kept{from: s, origin: origin, frame: *f}
	default:
		m.refuse(s, f)
	}
}

// accept takes the value of a deliver frame for the receive r, and says so.
func (m *member) accept(s *session, f *frame, r *operation) {
	if t := m.ties[s]; t != nil && f.peer == "" && t.blocked == f.send {
		t.blocked = 0
	}
	m.take(r, f.value)
	if f.peer != "" {
		m.space.keepTaken(f.peer, s.peer, f.send)
	}
	s.send(frame{kind: accept, number: m.number, send: f.send, peer: f.peer})
	if m.isHome() {
		m.rematch()
	}
}

// refuse answers a deliver frame whose value is not wanted.
func (m *member) refuse(s *session, f *frame) {
	s.send(frame{kind: refuse, number: m.number, send: f.send, peer: f.peer})
}

// take gives a value that came from another peer to a receive of this one.
func (m *member) take(r *operation, value []byte) {
	m.hand(channel.Bytes(value), r)
}

// onAnswer: a value was accepted or refused.
func (m *member) onAnswer(s *session, f *frame) {
	to := s.peer
	if f.peer != "" {
		to = f.peer
	}
	op := m.exposed[f.send]
	if op == nil || !op.offered || op.offer.via != s || op.offer.to != to {
		m.passBack(s, f)
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != nil && by.peer != to {
		by.send(frame{kind: settle, number: m.number, send: op.id, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		if s == m.home && to == s.peer {
			m.eager = true
		}
		m.finish(op, nil)
	} else {
		m.reoffer(op)
	}
}
