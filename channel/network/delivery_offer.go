package network

// endOffer notes that op is with nobody any more.
func (m *member) endOffer(op *operation) {
	if op.offered && op.ordered && op.offer.open {
		m.lane.bytes -= len(op.encoded)
	}
	op.offered, op.offer = false, offer{}
}

// offer sends an encoded send, reserved if it is an alternative, on its way to
// the peer that decides over it.
func (m *member) offer(op *operation, o offer) {
	op.remove()
	if op.ordered && o.open {
		m.lane.bytes += len(op.encoded)
	}
	m.expose(op)
	op.registered, op.offered, op.offer = false, true, o
	m.transmit(op)
}

// transmit writes the frame of an offer whose session is there.
func (m *member) transmit(op *operation) {
	o := &op.offer
	t := m.tie(o.via)
	if t == nil { // the session has just ended, and onLost has been or will be here
		m.lose(op)
		return
	}
	if !t.said {
		m.greet(o.via, t)
	}
	f := frame{kind: send, number: m.number, send: op.id, value: op.encoded, again: o.again, ordered: op.ordered}
	if o.open {
		if o.asks = o.again && !m.turn(op); o.asks {
			f.value = nil
		}
		m.attempt(op)
		f.at, f.under = op.at, op.under
	} else {
		if op.choice != nil {
			f.choice = op.choice.id
		}
		f.ordered = false
		f.kind, f.receive = deliver, o.receive
		if o.to != o.via.peer {
			f.peer, f.pass = o.to, true
		}
	}
	o.via.send(f)
}

// reoffer takes back an offered send that was surely not received, and tries
// again.
func (m *member) reoffer(op *operation) {
	if op.ordered {
		// A home that made a match for it lets nothing pass it before it is
		// heard of again.
		op.blocks = op.offer.matcher != nil && op.offer.matcher == m.home
		m.lane.unknown(op)
	}
	m.endOffer(op)
	if op.choice != nil {
		op.choice.release() // the select tries again
		return
	}
	if err := op.unwanted(); err != nil {
		m.finish(op, err)
		return
	}
	m.submitSend(op)
}
