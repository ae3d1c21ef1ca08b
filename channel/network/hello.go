package network

// greet tells the other side of s whom this one takes for the home.
func (m *member) greet(s *session, t *tie) {
	t.said, t.claim = true, m.claim
	f := frame{
		kind: hello, number: m.number, claim: m.claim,
		key: m.key, proof: prove(m.secret, m.self(), s.peer),
	}
	if m.claim.home != "" && !m.isHome() {
		f.addrs = m.space.node.AddrsOf(m.claim.home)
	}
	s.send(f)
	m.tellShut(s, t)
}

// greetOnce makes sure that the other side knows this one's number.
func (m *member) greetOnce(s *session) {
	if t := m.tie(s); t != nil && !t.said {
		m.greet(s, t)
	}
}

// onHello: another peer has the channel open. Whoever knows of a better claim
// tells the other.
func (m *member) onHello(s *session, f *frame) {
	m.mu.Lock()
	defer m.unlock()
	t := m.tie(s)
	if t == nil {
		return
	}
	t.hear()
	if f.claim.home != "" && !m.lostHomes[f.claim] && (m.claim.home == "" || f.claim.better(m.claim, m.key)) {
		m.adopt(f.claim, f.addrs)
		m.teller = s.peer
	}
	worse := f.claim.home != "" && m.claim.better(f.claim, m.key)
	if !t.said || f.claim != m.claim && (t.claim != m.claim || worse) {
		m.greet(s, t)
	}
	if m.isHome() && f.claim == m.claim && !t.joins {
		t.joins, m.heirless = true, true
	}
	if m.claim.home == s.peer && m.home == nil {
		m.join(s, t)
	}
}

// onUnknown: the other side does not have the channel open.
func (m *member) onUnknown(s *session) {
	m.mu.Lock()
	defer m.unlock()
	if t := m.ties[s]; t != nil {
		t.hear()
		m.onLeave(s, t)
	}
}

// onLeave: the other side has nothing more to do with the channel. What it
// did not answer, it did not take.
func (m *member) onLeave(s *session, t *tie) {
	delete(m.ties, s)
	s.untie(m)
	m.dissolve(s, t)
	m.strand(s, t, true)
	wasHome := m.home == s || m.home == nil && m.claim.home == s.peer
	if m.home == s {
		m.home = nil
		m.unregisterAll()
	}
	if wasHome && !m.gone {
		m.succeed()
	}
	for _, op := range m.exposed {
		if !op.offered || op.offer.via != s {
			continue
		}
		switch {
		case op.offer.again && op.offer.to != s.peer:
			m.lose(op)
		case op.offer.again: // it may have been taken before the session broke
			m.doubt(op)
		default:
			m.reoffer(op)
		}
	}
}
