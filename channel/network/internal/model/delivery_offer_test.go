package model

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
