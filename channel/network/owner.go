package network

import (
	"github.com/dstackless/dstackless/channel"
)

// inline is the size of the largest value that goes to the home together with
// the request for a match: 128 KiB. If a receive of the home's own is waiting,
// one round trip does.
const inline = 128 << 10

// admit gives op its id.
func (m *member) admit(op *operation) {
	m.lastID++
	op.id = m.lastID
	m.pending++
}

// submitSend finds a receive for op, or queues it.
func (m *member) submitSend(op *operation) {
	if r := m.receives.first; r != nil {
		m.hand(op.payload, r)
		m.finish(op, nil)
		return
	}
	if m.remoteReceives.first != nil { // only at home
		if err := op.encode(); err != nil {
			m.finish(op, err)
			return
		}
		r := m.remoteReceives.first
		m.forget(r)
		m.offer(op, offer{to: r.owner.peer, via: r.owner, run: r.owner.run, receive: r.id})
		return
	}
	m.sends.restore(op)
	m.register(op)
}

// submitReceive finds a send for op, or queues it.
func (m *member) submitReceive(op *operation) {
	if s := m.sends.first; s != nil {
		op.sink.Accept(s.payload)
		m.finish(s, nil)
		m.finish(op, nil)
		return
	}
	m.receives.restore(op)
	if s := m.remoteSends.first; s != nil { // only at home
		if s.encoded == nil {
			m.pairUp(s, op)
			return
		}
		value := s.encoded
		m.forget(s)
		m.take(op, value)
		s.owner.send(frame{kind: accept, number: m.number, send: s.id})
		return
	}
	m.register(op)
}

// hand gives p to the waiting receive r.
func (m *member) hand(p channel.Payload, r *operation) {
	r.sink.Accept(p)
	m.finish(r, nil)
}

// register tells the home of an operation that waits.
func (m *member) register(op *operation) {
	if m.home == nil || m.ties[m.home] == nil {
		return
	}
	if op.sink != nil {
		m.expose(op)
		op.registered = true
		m.home.send(frame{kind: receive, number: m.number, receive: op.id})
		return
	}
	if err := op.encode(); err != nil {
		m.finish(op, err)
		return
	}
	if len(op.encoded) <= inline {
		m.offer(op, offer{to: m.home.peer, via: m.home, run: m.home.run, open: true})
		return
	}
	m.expose(op)
	op.registered = true
	m.home.send(frame{kind: send, number: m.number, send: op.id})
}

// registerAll tells a new home of everything that waits.
func (m *member) registerAll() {
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.first; op != nil; {
			next := op.next
			m.register(op)
			op = next
		}
	}
}

// unregisterAll notes that no home knows of anything.
func (m *member) unregisterAll() {
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered, op.promised = false, false
		}
	}
}

func (m *member) expose(op *operation) {
	op.exposed = true
	m.exposed[op.id] = op
}

// encode encodes a send's payload, once.
func (op *operation) encode() (err error) {
	if op.encoded == nil {
		if op.encoded, err = op.payload.Encode(); op.encoded == nil {
			op.encoded = []byte{}
		}
	}
	return err
}

// finish ends op with its outcome, and wakes its caller.
func (m *member) finish(op *operation, err error) {
	m.conclude(op, err)
	op.done <- struct{}{}
}

// conclude is finish without waking the caller, who would only wait for m.mu.
func (m *member) conclude(op *operation, err error) {
	op.remove()
	if op.registered && m.home != nil {
		m.home.send(frame{kind: withdraw, number: m.number, send: op.id})
	}
	if op.exposed {
		delete(m.exposed, op.id)
	}
	op.offered, op.registered, op.exposed = false, false, false
	m.pending--
	op.err = err
}

// offer sends an encoded send on its way to the peer that decides over it.
func (m *member) offer(op *operation, o offer) {
	op.remove()
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
	f := frame{kind: send, number: m.number, send: op.id, value: op.encoded, again: o.again}
	if !o.open {
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
	op.offered, op.offer = false, offer{}
	if err := op.unwanted(); err != nil {
		m.finish(op, err)
		return
	}
	m.submitSend(op)
}
