package network

import (
	"github.com/dstackless/dstackless/channel"
)

// admit gives op its id, and its place in the lane.
func (m *member) admit(op *operation) {
	m.lastID++
	op.id = m.lastID
	m.pending++
	if op.sink == nil && op.end.async > 0 {
		m.lane.push(op)
	}
}

// submit finds the other side of op, or queues it.
func (m *member) submit(op *operation) {
	op.remove()
	if op.sink != nil {
		m.submitReceive(op)
	} else {
		m.submitSend(op)
	}
}

// submitSend finds a receive for op, or queues it.
func (m *member) submitSend(op *operation) {
	m.sends.restore(op)
	if m.turn(op) && m.place(op) {
		return
	}
	if op.ordered {
		m.pump()
	} else {
		m.register(op)
	}
}

// place finds a receive for a send that waits, and whose turn it is.
func (m *member) place(op *operation) bool {
	r, err := m.localReceiveFor(op)
	if err != nil {
		m.finish(op, err)
		return true
	}
	if r != nil {
		m.hand(op.valueFor(r.sink), r)
		m.finish(op, nil)
		return true
	}
	if r := m.remoteReceives.first; r != nil && op.reserve() { // only at home
		if err := op.encode(); err != nil {
			m.finish(op, err)
			return true
		}
		m.forget(r)
		m.credit(r.owner)
		m.offer(op, offer{to: r.owner.peer, via: r.owner, run: r.owner.run, receive: r.id})
		return true
	}
	return false
}

// receiveFor returns a receive that waits, and takes another peer's send:
// decided, if it is an alternative.
func (m *member) receiveFor() *operation {
	for r := m.receives.first; r != nil; r = r.next {
		if commit(r, nil) {
			return r
		}
	}
	return nil
}

// localReceiveFor is receiveFor for a send of this peer. The error says that
// its value has to be encoded, and cannot be.
func (m *member) localReceiveFor(op *operation) (*operation, error) {
	for r := m.receives.first; r != nil; r = r.next {
		if err := op.prepare(r.sink); err != nil {
			return nil, err
		}
		if commit(r, op) {
			return r, nil
		}
	}
	return nil, nil
}

// receiveTaking is receiveFor for a value of this peer which need not be
// encoded. It returns nil if it must be.
func (m *member) receiveTaking(p channel.Payload) *operation {
	for r := m.receives.first; r != nil && takes(r.sink, p); r = r.next {
		if commit(r, nil) {
			return r
		}
	}
	return nil
}

// sendFor returns a send that waits, and whose turn it is, for the receive r,
// which has the sink s. A nil r is one without alternatives. It ends sends whose
// value has to be encoded, and cannot be.
func (m *member) sendFor(s channel.Sink, r *operation) *operation {
	for op := m.sends.first; op != nil; {
		if !m.turn(op) {
			op = op.next
		} else if err := op.prepare(s); err != nil {
			m.finish(op, err)
			op = m.sends.first
		} else if commit(op, r) {
			return op
		} else {
			op = op.next
		}
	}
	return nil
}

// submitReceive finds a send for op, or queues it.
func (m *member) submitReceive(op *operation) {
	if s := m.sendFor(op.sink, op); s != nil {
		op.sink.Accept(s.valueFor(op.sink))
		m.finish(s, nil)
		m.finish(op, nil)
		return
	}
	m.receives.restore(op)
	if s := m.remoteSend(nil); s != nil { // only at home
		if s.encoded == nil {
			m.pairUp(s, op)
		} else if commit(op, nil) {
			m.take(op, m.takeHeld(s))
		}
		return
	}
	m.register(op)
}

// hand gives p to the waiting receive r.
func (m *member) hand(p channel.Payload, r *operation) {
	r.sink.Accept(p)
	m.finish(r, nil)
}
