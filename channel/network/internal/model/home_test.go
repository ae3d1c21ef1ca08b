package model

// ask says hello to a peer.
func (m *member) ask(n peerID) {
	s := m.dial(m.me, n)
	if t := m.tie(s); t != nil && (!t.said || t.claim != m.state().claim) {
		m.greet(s, t)
	}
}

// adopt changes to a better claim.
func (m *member) adopt(c claim) {
	st := m.state()
	if st.claim.home != 0 && !c.better(st.claim) {
		m.fault(worseClaim)
	}
	if c.generation > maxGeneration {
		m.fault(endlessElection)
		return
	}
	wasHome := m.isHome()
	st.claim, st.teller, st.reached = c, 0, false
	st.home = 0
	m.unregisterAll()
	if wasHome {
		for s, t := range m.ties() {
			m.dissolve(s, t)
			if m.p.defect == forgetsOnMove {
				m.giveUpPassed(s, true)
			}
		}
		st.pairs = pairs{}
	}
	for s, t := range m.ties() {
		if t.said {
			m.greet(s, t)
		}
	}
	if m.isHome() {
		for id := range m.mine() { // whoever waits here may have been waiting for a home
			if op := m.op(id); op.phase == waiting {
				op.registered = false
			}
		}
	}
}

// join submits to the home, at the other end of s, what waits here.
func (m *member) join(s linkID, t *tie) {
	m.state().home, m.state().reached = s, true
	if !t.said || t.claim != m.state().claim {
		m.greet(s, t)
	}
	m.registerAll()
}

// rejoin is when the home that the claim names was dialled.
func (m *member) rejoin() {
	s := m.dial(m.me, m.state().claim.home)
	if t := m.tie(s); t != nil {
		m.join(s, t)
	}
}

// succeed makes this peer the home in place of one that is lost.
func (m *member) succeed() {
	st := m.state()
	next := claim{st.claim.generation + 1, m.me}
	if t := st.teller; t != 0 && !st.reached && t != st.claim.home && m.to(m.me, t) != 0 && m.p.defect != takesPlace {
		next.home = t
	}
	m.adopt(next)
}

// remind tells the home again of the receives that wait.
func (m *member) remind() {
	st := m.state()
	for r := range m.mine() {
		op := m.op(r)
		if !m.p.want(r).receive || op.phase != waiting {
			continue
		}
		switch {
		case m.isHome():
			op.promised = false
			m.rematch()
		case m.tied(st.home) != nil && op.registered:
			m.put(st.home, frame{kind: receive, receive: r})
		}
	}
}
