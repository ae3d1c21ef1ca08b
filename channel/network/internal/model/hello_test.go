package model

// greet tells the other side of s whom this one takes for the home.
func (m *member) greet(s linkID, t *tie) {
	t.said, t.claim = true, m.state().claim
	m.put(s, frame{kind: hello, claim: m.state().claim})
}

// greetOnce makes sure that the other side knows this one's number.
func (m *member) greetOnce(s linkID) {
	if t := m.tie(s); t != nil && !t.said {
		m.greet(s, t)
	}
}

// onHello: another peer has the channel open. Whoever knows of a better claim
// tells the other.
func (m *member) onHello(s linkID, f frame) {
	t := m.tie(s)
	if t == nil {
		return
	}
	t.numbered = true
	st := m.state()
	if f.claim.home != 0 && (st.claim.home == 0 || m.believes(f.claim)) {
		m.adopt(f.claim)
		st.teller = s.other(m.me)
	}
	worse := f.claim.home != 0 && st.claim.better(f.claim)
	if !t.said || f.claim != st.claim && (t.claim != st.claim || worse) {
		m.greet(s, t)
	}
	t.joins = m.isHome() && f.claim == st.claim || t.joins && m.isHome()
	if st.claim.home == s.other(m.me) && st.home == 0 {
		m.join(s, t)
	}
}

func (m *member) believes(c claim) bool {
	if m.p.defect == worseClaims {
		return c != m.state().claim
	}
	return c.better(m.state().claim)
}

// onUnknown: the other side does not have the channel open.
func (m *member) onUnknown(s linkID) {
	if m.tied(s) != nil {
		m.onLeave(s)
	}
}

// onLeave: the other side has nothing more to do with the channel. What it did
// not answer, it did not take.
func (m *member) onLeave(s linkID) {
	st, n := m.state(), s.other(m.me)
	m.untie(s)
	m.end(s, m.me).ties[m.ch] = tie{}
	m.dissolve(s, nil)
	m.giveUpPassed(s, m.p.defect == doubtsOnLeave)
	m.unlinkPairs(s)
	wasHome := st.home == s || st.home == 0 && st.claim.home == n
	if st.home == s {
		st.home = 0
		m.unregisterAll()
	}
	if wasHome && !st.gone {
		m.succeed()
	}
	for id := range m.mine() {
		op := m.op(id)
		if op.phase != offered || op.offer.via != s {
			continue
		}
		switch {
		case op.offer.again && op.offer.to != n: // it was passed on before
			m.lose(id)
		case op.offer.again: // it may have been taken before the session broke
			m.doubt(id)
		default:
			m.reoffer(id)
		}
	}
}

// unlinkPairs notes that the owner of receives has gone.
func (m *member) unlinkPairs(s linkID) {
	st := m.state()
	for i := range st.pairs.n {
		if st.pairs.list[i].other == s {
			st.pairs.list[i].other = lostLink
		}
	}
}
