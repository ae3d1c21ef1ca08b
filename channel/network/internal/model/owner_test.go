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

// offer sends a send, reserved if it is an alternative, on its way to the peer
// that decides over it.
func (m *member) offer(id opID, o offer) {
	op := m.op(id)
	op.phase, op.registered, op.offer = offered, false, o
	m.transmit(id)
}

// transmit writes the frame of an offer whose session is there.
func (m *member) transmit(id opID) {
	o := &m.op(id).offer
	o.by = o.via.other(m.me)
	t := m.tie(o.via)
	if t == nil {
		m.lose(id)
		return
	}
	if !t.said {
		m.greet(o.via, t)
	}
	f := frame{kind: send, send: id, value: true, again: o.again}
	if op := m.op(id); o.open {
		m.attempt(id)
		f.at, f.under = op.at, op.under
		if o.again && !m.turn(id) && m.p.defect != resumesAll {
			f.value, o.asks = false, true // nothing may overtake those before it
		}
	} else {
		f.kind, f.receive, f.choice = deliver, o.receive, m.p.want(id).choice
		if to := o.via.other(m.me); o.to != to {
			f.peer, f.pass = o.to, true
		}
	}
	m.put(o.via, f)
}

// reoffer takes back an offered send that was surely not received, and tries
// again.
func (m *member) reoffer(id opID) {
	op, st := m.op(id), m.state()
	if m.p.want(id).lane {
		op.blocks = op.offer.matcher != 0 && op.offer.matcher == st.home
		st.known = min(st.known, uint8(m.index(id)))
	}
	op.offer = offer{}
	if c := m.choiceOf(id); c != nil {
		op.phase = waiting
		m.release(id)
		return
	}
	if m.unwanted(id) {
		m.finish(id, cancelled)
		return
	}
	m.submitSend(id)
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
