package model

// onSend: the peer of s has a send that waits.
func (m *member) onSend(s linkID, t *tie, f frame) {
	st := m.state()
	if f.again && m.wasTaken(s.other(m.me), f.send) {
		m.put(s, frame{kind: accept, send: f.send})
		return
	}
	if !m.isHome() {
		m.redirect(s, t, f)
		return
	}
	// Its owner only asks; or it was asked of this peer when it was home before,
	// and what comes before it in its lane may since have been given back.
	if f.again && !f.value || m.p.want(f.send).lane && f.under != st.claim.generation && m.p.defect != takesOldLane {
		m.put(s, frame{kind: queued, send: f.send, at: f.at})
		return
	}
	// Its owner asks again: nothing comes of an earlier match.
	if i := st.pairs.index(s, f.send); i >= 0 {
		m.restoreReceive(st.pairs.remove(i))
	}
	if t.blocked == f.send {
		t.blocked = 0
	}
	lane := m.p.want(f.send).lane
	turn := !lane || t.blocked == 0 && !m.lined(s)
	if turn && f.value {
		if r := m.receiveFor(0); r != 0 {
			m.hand(f.send, r)
			m.put(s, frame{kind: accept, send: f.send})
			return
		}
	}
	m.note(s, f.send)
	x := entry{link: s, id: f.send, held: f.value, at: f.at}
	if lane {
		st.sends.restore(x)
	} else {
		st.sends.push(x)
	}
	if turn {
		m.match(x)
	} else if m.p.defect != leavesUnmatched {
		m.rematch()
	}
}

// lined reports whether sends of the lane of s are in the queue.
func (m *member) lined(s linkID) bool {
	st := m.state()
	for i := range st.sends.n {
		if x := st.sends.list[i]; x.link == s && m.p.want(x.id).lane {
			return true
		}
	}
	return false
}

// match finds a receive for a send of another peer whose turn it is.
func (m *member) match(x entry) bool {
	if x.held {
		if r := m.receiveFor(0); r != 0 {
			m.takeHeld(x, r)
			return true
		}
	}
	st := m.state()
	for i := range st.receives.n {
		if r := st.receives.list[i]; !m.same(r.link, x.link) {
			m.pairUp(x, r.link, r.id)
			return true
		}
	}
	for r := range m.mine() {
		if m.p.want(r).receive && m.op(r).phase == waiting && m.free(r) {
			m.pairUp(x, 0, r)
			return true
		}
	}
	return false
}

// free reports whether a receive of the home's own may be set aside for a send.
func (m *member) free(r opID) bool {
	c := m.choiceOf(r)
	return !m.op(r).promised && (c == nil || c.state == open)
}

// rematch finds receives for the sends of other peers whose turn has come.
func (m *member) rematch() {
	st := m.state()
	for i := 0; i < int(st.sends.n); {
		if x := st.sends.list[i]; m.mayPair(x) && m.match(x) {
			i = 0
		} else {
			i++
		}
	}
}

// mayPair reports whether nothing that is on its way elsewhere, or waits here,
// comes before x.
func (m *member) mayPair(x entry) bool {
	if !m.p.want(x.id).lane {
		return true
	}
	st := m.state()
	for i := range st.sends.n {
		if o := st.sends.list[i]; o.link == x.link && m.p.want(o.id).lane && m.p.defect != skipsAhead {
			return o.id == x.id && m.tied(x.link).blocked == 0
		}
	}
	return m.tied(x.link).blocked == 0
}

// remoteSend returns the place of the first send of another peer whose turn it
// is, and which is not except's, or -1.
func (m *member) remoteSend(except linkID) int {
	st := m.state()
	for i := range st.sends.n {
		if x := st.sends.list[i]; !m.same(x.link, except) && m.mayPair(x) {
			return int(i)
		}
	}
	return -1
}

// same reports whether two sessions are to the same peer.
func (m *member) same(a, b linkID) bool {
	if a == b || m.p.defect == matchesOneself || a == 0 || b == 0 {
		return a == b
	}
	return a.other(m.me) == b.other(m.me)
}

// endHold is when the home gives back the values for which no receive came.
func (m *member) endHold() {
	st := m.state()
	for i := range st.sends.n {
		if x := &st.sends.list[i]; x.held {
			x.held = false
			m.put(x.link, frame{kind: queued, send: x.id, at: x.at})
		}
	}
}

// takeHeld gives a value that is kept here to a receive of this peer.
func (m *member) takeHeld(x entry, r opID) {
	m.forget(x.link, x.id)
	m.put(x.link, frame{kind: accept, send: x.id})
	m.hand(x.id, r)
}

// onReceive: the peer of s has a receive that waits.
func (m *member) onReceive(s linkID, f frame) {
	if !m.isHome() {
		m.redirect(s, m.tied(s), f)
		return
	}
	m.note(s, f.receive)
	m.serve(s, f.receive)
}

// serve finds a send for a remote receive, or queues it.
func (m *member) serve(s linkID, id opID) {
	st := m.state()
	for o := range m.mine() {
		if m.p.want(o).receive || m.op(o).phase != waiting || !m.turn(o) || !m.reserve(o) {
			continue
		}
		m.forget(s, id)
		m.offer(o, m.direct(entry{link: s, id: id}))
		return
	}
	if i := m.remoteSend(s); i >= 0 {
		m.pairUp(st.sends.list[i], s, id)
		return
	}
	if st.receives.index(s, id) >= 0 {
		m.fault(queuedTwice)
		return
	}
	if i := st.aside.index(s, id); i >= 0 {
		st.aside.remove(i)
	}
	st.receives.restore(entry{link: s, id: id})
}
