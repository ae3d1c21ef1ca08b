package model

// register tells the home of an operation that waits.
func (m *member) register(id opID) {
	st, op, x := m.state(), m.op(id), m.p.want(id)
	if st.home == 0 || m.tied(st.home) == nil || op.registered {
		return
	}
	op.blocks = false
	switch {
	case x.receive:
		op.registered = true
		m.put(st.home, frame{kind: receive, receive: id})
	case x.choice == 0 && !x.big:
		m.offer(id, offer{to: st.home.other(m.me), via: st.home, run: m.end(st.home, m.me).run, open: true})
	default:
		op.registered = true
		m.attempt(id)
		m.put(st.home, frame{kind: send, send: id, at: op.at, under: op.under})
	}
}

// attempt numbers what the home is asked, so that its answers can be told from
// those to what it was asked before.
func (m *member) attempt(id opID) {
	op := m.op(id)
	op.under = m.state().claim.generation
	if m.p.defect == countsGenerations {
		op.at = op.under
	} else {
		op.at = (op.at + 1) % attempts
	}
}

// registerAll tells a new home of everything that waits.
func (m *member) registerAll() {
	for _, receives := range []bool{false, true} {
		for id := range m.mine() {
			if x := m.p.want(id); x.receive == receives && !x.lane && m.op(id).phase == waiting {
				m.register(id)
			}
		}
	}
	m.pump()
}

// unregisterAll notes that no home knows of anything.
func (m *member) unregisterAll() {
	for id := range m.mine() {
		if op := m.op(id); op.phase == waiting {
			op.registered, op.promised, op.blocks = false, false, false
		}
	}
	m.state().known = 0
}
