package model

// onLost: a session has ended, and what its peer heard or said last is not known.
func (m *member) onLost(s linkID) {
	m.dissolve(s, nil)
	m.giveUpPassed(s, true)
	for id := range m.mine() {
		op := m.op(id)
		if op.phase == offered && op.offer.via == s {
			m.lose(id)
		}
		if op.kept.from == s {
			op.kept = kept{} // it is offered again
		}
	}
	if st := m.state(); st.home == s {
		st.home = 0
		m.unregisterAll()
	}
}

// lose begins to ask the peer that was taking a value whether it did.
func (m *member) lose(id opID) {
	op := m.op(id)
	if m.p.defect == retriesInDoubt {
		m.reoffer(id)
		return
	}
	op.offer.via, op.offer.again = 0, true
}

// lostTo reports whether a peer was taking sends when its session was lost.
func (m *member) lostTo(to peerID) bool {
	for id := range m.mine() {
		if op := m.op(id); op.phase == offered && op.offer.again && op.offer.via == 0 && op.offer.to == to {
			return true
		}
	}
	return false
}

// resume offers again what was lost on its way to a peer. If the peer has been
// started anew, it cannot know; nor does anybody if it is not found.
func (m *member) resume(to peerID) {
	var s linkID
	if m.mayDial(m.me, to) {
		s = m.dial(m.me, to)
	}
	for id := range m.mine() {
		op := m.op(id)
		if op.phase != offered || !op.offer.again || op.offer.via != 0 || op.offer.to != to {
			continue
		}
		if s != 0 && op.offer.run == m.end(s, m.me).run {
			op.offer.via = s
			m.transmit(id)
		} else {
			m.doubt(id)
		}
	}
}

// doubt ends an offered send whose outcome will not be heard.
func (m *member) doubt(id opID) {
	m.checkDoubt(id)
	m.settleGone(id)
	m.finish(id, inDoubt)
}

// settleGone lets the home have the receive back that it set aside.
func (m *member) settleGone(id opID) {
	if o := m.op(id).offer; o.matcher != 0 {
		m.put(o.matcher, frame{kind: settle, send: id, receive: o.receive, outcome: gone})
	}
}
