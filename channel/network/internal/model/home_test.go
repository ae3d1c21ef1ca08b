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

// redirect answers a request that only the home can serve.
func (m *member) redirect(s linkID, t *tie, f frame) {
	m.greet(s, t)
	if f.kind == send && (f.value || f.again) {
		m.put(s, frame{kind: queued, send: f.send, at: f.at})
	}
}

// note makes room for an operation of another peer.
func (m *member) note(s linkID, id opID) { m.forget(s, id) }

// forget drops an operation of another peer.
func (m *member) forget(s linkID, id opID) {
	st := m.state()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		if i := e.index(s, id); i >= 0 {
			e.remove(i)
		}
	}
}

// onWithdraw: the operation does not wait any more.
func (m *member) onWithdraw(s linkID, t *tie, id opID) {
	st := m.state()
	i := st.sends.index(s, id)
	if i >= 0 && st.sends.list[i].held {
		m.put(s, frame{kind: queued, send: id, at: st.sends.list[i].at})
	}
	m.forget(s, id)
	if t.blocked == id {
		t.blocked = 0
	} else if i < 0 || !m.p.want(id).lane {
		return
	}
	m.rematch()
}

// pairUp tells the owner of a remote send where to deliver. The receive is
// another peer's or, set aside but still free for senders here, this peer's.
func (m *member) pairUp(x entry, s linkID, r opID) {
	st := m.state()
	if m.p.defect != offersTwice {
		m.forget(x.link, x.id)
	}
	f := frame{kind: match, send: x.id, receive: r, at: x.at}
	if s == 0 {
		m.op(r).promised = true
		f.peer = m.me
	} else {
		if i := st.receives.index(s, r); i >= 0 {
			st.receives.remove(i)
		}
		if st.aside.index(s, r) < 0 {
			st.aside.push(entry{link: s, id: r})
		}
		f.peer = s.other(m.me)
	}
	if m.p.want(x.id).lane {
		m.tied(x.link).blocked = x.id
	}
	if i := st.pairs.index(x.link, x.id); i >= 0 {
		st.pairs.remove(i)
	}
	st.pairs.add(pair{x.link, x.id, s, r})
	m.put(x.link, f)
}

// add keeps pairs in an order of their own: it does not matter when they came.
func (p *pairs) add(x pair) {
	at := 0
	for at < int(p.n) && (p.list[at].send < x.send || p.list[at].send == x.send && p.list[at].owner < x.owner) {
		at++
	}
	copy(p.list[at+1:], p.list[at:p.n])
	p.list[at] = x
	p.n++
}

// onSettle: the owner of a send tells what became of a match.
func (m *member) onSettle(s linkID, t *tie, f frame) {
	st := m.state()
	i := st.pairs.index(s, f.send)
	if i < 0 || st.pairs.list[i].receive != f.receive {
		return // made by this peer before it stopped being home
	}
	x := st.pairs.remove(i)
	if f.outcome == gone {
		m.restoreReceive(x)
	} else if x.other != 0 && m.tied(x.other) != nil && (f.outcome == accepted || st.receives.index(x.other, x.receive) < 0) {
		m.forget(x.other, x.receive)
	}
	if t.blocked == f.send && (f.outcome != refused || m.p.defect == overtakesRefused) {
		t.blocked = 0
		m.rematch()
	}
}

// restoreReceive puts the receive of a match back that came to nothing.
func (m *member) restoreReceive(x pair) {
	st := m.state()
	if x.other == 0 {
		r := m.exposed(x.receive)
		if r == nil || !r.promised {
			return
		}
		r.promised = false
		if i := m.remoteSend(0); i >= 0 && r.phase == waiting && m.free(x.receive) {
			m.pairUp(st.sends.list[i], 0, x.receive)
		}
		return
	}
	if m.tied(x.other) == nil {
		return
	}
	if st.aside.index(x.other, x.receive) >= 0 || m.p.defect == releasesTwice && st.receives.index(x.other, x.receive) >= 0 {
		m.serve(x.other, x.receive)
	}
}

// dissolve drops what the home knows of the operations of s.
func (m *member) dissolve(s linkID, t *tie) {
	st := m.state()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		for i := int(e.n) - 1; i >= 0; i-- {
			if x := e.list[i]; x.link == s {
				e.remove(i)
				if x.held {
					m.put(s, frame{kind: queued, send: x.id, at: x.at})
				}
			}
		}
	}
	if t != nil {
		t.joins, t.blocked = false, 0
	}
	for i := st.pairs.next(s); i >= 0; i = st.pairs.next(s) {
		m.restoreReceive(st.pairs.remove(i))
	}
}

// giveUpPassed tells the owners of values that were passed on to s that it has
// gone: they are refused if it left.
func (m *member) giveUpPassed(s linkID, lost bool) {
	p := &m.state().passing
	for i := int(p.n) - 1; i >= 0; i-- {
		if x := p.list[i]; x.to == s {
			p.remove(i)
			what := refuse
			if lost {
				what = astray
			}
			if m.p.defect != forgetsPassed {
				m.answer(what, x.link, x.id, s.other(m.me))
			}
		}
	}
}

// next returns the place of a match for a send of s, or -1.
func (p *pairs) next(s linkID) int {
	for i := range p.n {
		if p.list[i].owner == s {
			return int(i)
		}
	}
	return -1
}
