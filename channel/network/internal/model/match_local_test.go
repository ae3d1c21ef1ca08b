package model

// start begins an operation.
func (m *member) start(id opID) {
	m.op(id).phase = waiting
	m.submit(id)
	if c := m.choiceOf(id); c != nil && c.state == tentative && m.p.defect == oneBegun {
		c.stops = true
	}
}

// submit finds the other side of an operation, or queues it.
func (m *member) submit(id opID) {
	if m.p.want(id).receive {
		m.submitReceive(id)
	} else {
		m.submitSend(id)
	}
}

func (m *member) submitSend(id opID) {
	m.op(id).phase = waiting
	if m.turn(id) && m.place(id) {
		return
	}
	if m.p.want(id).lane {
		m.pump()
	} else {
		m.register(id)
	}
}

// place finds a receive for a send that waits, and whose turn it is.
func (m *member) place(id opID) bool {
	if r := m.receiveFor(id); r != 0 {
		m.hand(id, r)
		m.finish(id, done)
		return true
	}
	st := m.state()
	if st.receives.n > 0 && m.reserve(id) { // only at home
		r := st.receives.list[0]
		m.forget(r.link, r.id)
		m.offer(id, m.direct(r))
		return true
	}
	return false
}

func (m *member) direct(r entry) offer {
	return offer{to: r.link.other(m.me), via: r.link, run: m.end(r.link, m.me).run, receive: r.id}
}

// receiveFor returns a receive that waits, and takes the send: decided, if it is
// an alternative. Send 0 is another peer's.
func (m *member) receiveFor(id opID) opID {
	for r := range m.mine() {
		if m.p.want(r).receive && m.op(r).phase == waiting && m.commit(r, id) {
			return r
		}
	}
	return 0
}

// sendFor returns a send that waits, and whose turn it is, for the receive r.
func (m *member) sendFor(r opID) opID {
	for id := range m.mine() {
		if !m.p.want(id).receive && m.op(id).phase == waiting && m.turn(id) && m.commit(id, r) {
			return id
		}
	}
	return 0
}

func (m *member) submitReceive(id opID) {
	if s := m.sendFor(id); s != 0 {
		m.hand(s, id)
		m.finish(s, done)
		return
	}
	if s := m.remoteSend(0); s >= 0 { // only at home
		x := m.state().sends.list[s]
		if !x.held {
			m.pairUp(x, 0, id)
		} else if m.commit(id, 0) {
			m.takeHeld(x, id)
		}
		return
	}
	m.register(id)
}

// hand gives the value of a send to a receive of this peer, and ends the receive.
func (m *member) hand(s, r opID) {
	m.accepts(s, r)
	m.finish(r, done)
}

// finish ends an operation with its outcome.
func (m *member) finish(id opID, what result) {
	op, st := m.op(id), m.state()
	if (op.registered || op.blocks) && st.home != 0 {
		m.put(st.home, frame{kind: withdraw, send: id})
	}
	place := m.index(id)
	k := op.kept
	*op = operation{phase: over, result: what, received: op.received, got: op.got}
	m.checkResult(id)
	if k.send != 0 {
		m.answer(refuse, k.from, k.send, k.origin)
	}
	if m.p.want(id).lane {
		if uint8(place) < st.known {
			st.known--
		}
		m.advance()
	}
	m.concluded(id)
}

func (m *member) unwanted(id opID) bool {
	c := m.choiceOf(id)
	return m.op(id).abandoned || c != nil && c.ended || m.state().left
}

// withdraw ends an operation, because its context has, if it is not on its way.
// Else it does so if the peer that has it gives it back.
func (m *member) withdraw(id opID) {
	op := m.op(id)
	switch {
	case op.phase == waiting:
		m.finish(id, cancelled)
	case op.phase != offered:
	case m.p.defect == cancelLies:
		m.finish(id, cancelled)
	case op.offer.via == 0 && !op.offer.again: // a peer is dialled, and nothing was said
		op.abandoned = true
		m.settleGone(id)
		m.reoffer(id)
	default:
		op.abandoned = true
		if op.offer.open && op.offer.via != 0 {
			m.put(op.offer.via, frame{kind: withdraw, send: id})
		}
	}
}
