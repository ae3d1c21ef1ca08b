package model

// onQueued: the home did not take the value of a send, and has it in its queue.
func (m *member) onQueued(s linkID, f frame) {
	id := f.send
	op := m.exposed(id)
	if op == nil || !m.with(id, s) || f.at != op.at && m.p.defect != trustsOldAnswers {
		return
	}
	if st := m.state(); s != st.home || op.offer.asks || op.under != st.claim.generation && m.p.defect != trustsOldAnswers {
		m.reoffer(id)
		return
	}
	op.phase, op.registered, op.offer = waiting, true, offer{}
	if m.unwanted(id) {
		m.finish(id, cancelled)
		return
	}
	if m.turn(id) {
		m.place(id)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (m *member) onMatch(s linkID, f frame) {
	op := m.exposed(f.send)
	current := op != nil && !m.p.want(f.send).receive && (f.at == op.at || m.p.defect == followsStale)
	if current && s == m.state().home {
		op.registered = false // it has struck it out
	}
	if !current || !m.follows(f.send, s, f.peer) {
		m.put(s, frame{kind: settle, send: f.send, receive: f.receive, outcome: gone})
		return
	}
	o := offer{to: f.peer, receive: f.receive, matcher: s}
	if f.peer == s.other(m.me) {
		o.via = s
	} else {
		o.via = m.to(m.me, f.peer)
	}
	if o.via != 0 {
		o.run = m.end(o.via, m.me).run
		m.offer(f.send, o)
		return
	}
	// Set aside while the peer is dialled.
	op.phase, op.offer = offered, o
}

// dialled is when the dialling of onMatch has come to an end.
func (m *member) dialled(id opID) {
	op := m.op(id)
	if m.unwanted(id) {
		m.settleGone(id)
		m.reoffer(id)
		return
	}
	o := &op.offer
	switch {
	case m.mayDial(m.me, o.to):
		o.via = m.dial(m.me, o.to)
		o.run = m.end(o.via, m.me).run
		m.transmit(id)
	case m.tied(o.matcher) != nil:
		o.via = o.matcher
		m.transmit(id)
	default:
		m.reoffer(id)
	}
}

// follows reports whether a send of this peer follows a match that the peer of
// s has made with a receive of another.
func (m *member) follows(id opID, s linkID, with peerID) bool {
	op := m.exposed(id)
	if m.p.defect == offersTwice && op.phase == offered && !op.offer.open {
		return true
	}
	if op.phase != waiting && !m.with(id, s) {
		return false
	}
	if m.unwanted(id) {
		m.finish(id, cancelled)
		return false
	}
	if with == m.me && m.p.defect == matchesOneself {
		return false
	}
	if with == m.me || !m.turn(id) || !m.reserve(id) {
		if m.p.want(id).lane {
			m.state().known = min(m.state().known, uint8(m.index(id)))
		}
		if op.phase != waiting {
			op.phase, op.offer = waiting, offer{}
		}
		if m.p.want(id).lane {
			m.pump()
		} else if m.p.want(id).choice == 0 {
			m.register(id)
		}
		return false
	}
	return true
}

// onDeliver: another peer offers a value to a receive of this one, or to that of
// a member which it cannot reach.
func (m *member) onDeliver(s linkID, t *tie, f frame) {
	st := m.state()
	origin := s.other(m.me)
	switch {
	case f.pass:
		if to := m.joined(f.peer); to != 0 {
			m.greetOnce(to)
			if st.passing.index(s, f.send) < 0 {
				st.passing.push(entry{link: s, id: f.send, to: to})
			}
			on := f
			on.peer, on.pass = origin, false
			m.put(to, on)
			return
		}
		m.answer(refuse, s, f.send, f.peer)
		return
	case f.peer != 0 && s != st.home:
		m.answer(refuse, s, f.send, f.peer) // only the home passes on
		return
	case f.peer != 0:
		origin = f.peer
	}
	if i := st.pairs.index(s, f.send); i >= 0 {
		st.pairs.remove(i) // if this peer is the home: settled here
	}
	m.greetOnce(s)
	if (f.again || f.peer != 0) && m.wasTaken(origin, f.send) {
		m.answer(accept, s, f.send, f.peer)
		return
	}
	if x := m.node(m.me); f.peer != 0 && x.voids&(1<<f.send) != 0 {
		m.answer(refuse, s, f.send, f.peer)
		return
	} else if f.again { // what is passed on late does not count
		x.voids |= 1 << f.send
	}
	r := m.exposed(f.receive)
	if m.p.defect == takesTwice && r == nil && m.op(f.receive).got != 0 {
		m.accepts(f.send, f.receive)
		m.answer(accept, s, f.send, f.peer)
		return
	}
	if r == nil || r.phase != waiting {
		m.answer(refuse, s, f.send, f.peer)
		return
	}
	// Whoever made the match has struck it out.
	if m.p.defect != registersNoMore {
		r.registered, r.promised = false, false
	}
	k := kept{from: s, origin: f.peer, send: f.send}
	switch {
	case m.commit(f.receive, 0):
		m.take(k, f.receive)
	case m.keeps(f.receive, origin, f.choice) && (r.kept.send == 0 || r.kept.send == f.send):
		r.kept = k
	default:
		m.answer(refuse, s, f.send, f.peer)
	}
}

// joined returns the oldest session by which a peer takes this one for its home.
func (m *member) joined(n peerID) (s linkID) {
	for _, o := range linksOf(m.me, n) {
		if t := m.tied(o); s == 0 && t != nil && t.joins {
			s = o
		}
	}
	if first := m.to(m.me, n); m.p.defect == passesOnAnywhere && s != first {
		return 0
	}
	return s
}

// take takes an offered value for the receive r, and says so.
func (m *member) take(k kept, r opID) {
	if t := m.tied(k.from); t != nil && k.origin == 0 && t.blocked == k.send {
		t.blocked = 0
	}
	m.hand(k.send, r)
	if k.origin != 0 {
		m.node(m.me).taken |= 1 << k.send
	}
	m.answer(accept, k.from, k.send, k.origin)
	if m.isHome() {
		m.rematch()
	}
}

func (m *member) answer(what kind, s linkID, id opID, peer peerID) {
	m.put(s, frame{kind: what, send: id, peer: peer})
}

// onAnswer: a value was accepted or refused.
func (m *member) onAnswer(s linkID, f frame) {
	to := s.other(m.me)
	if f.peer != 0 {
		to = f.peer
	}
	op := m.exposed(f.send)
	if op == nil || op.phase != offered || op.offer.via != s || op.offer.to != to {
		m.passBack(s, f)
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != 0 && by.other(m.me) != to {
		m.put(by, frame{kind: settle, send: f.send, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		m.finish(f.send, done)
	} else {
		m.reoffer(f.send)
	}
}
