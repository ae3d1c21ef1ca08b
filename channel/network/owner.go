package network

import (
	"github.com/dstackless/dstackless/channel"
)

// inline is the size of the largest value that goes to the home together with
// the request for a match: 128 KiB. If a receive of the home's own is waiting,
// one round trip does. It goes along if the home received the last one: who may
// have taken a value when it is lost leaves the sender in doubt.
const inline = channel.MaxReused

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

// register tells the home of an operation that waits.
func (m *member) register(op *operation) {
	if m.home == nil || m.ties[m.home] == nil || op.registered {
		return
	}
	op.blocks = false
	if op.sink != nil {
		m.expose(op)
		op.registered = true
		m.home.send(frame{kind: receive, number: m.number, receive: op.id})
		return
	}
	if op.choice == nil { // an alternative is tentative no longer than need be
		if err := op.encode(); err != nil { // said at once, not when a receive is found
			m.finish(op, err)
			return
		}
		if m.eager && len(op.encoded) <= inline {
			m.offer(op, offer{to: m.home.peer, via: m.home, run: m.home.run, open: true})
			return
		}
	}
	m.expose(op)
	op.registered = true
	m.attempt(op)
	m.home.send(frame{kind: send, number: m.number, send: op.id, at: op.at, under: op.under, ordered: op.ordered})
}

// attempt numbers what the home is about to hear of op.
func (m *member) attempt(op *operation) {
	m.attempts++
	op.at, op.under = m.attempts, m.claim.generation
}

// registerAll tells a new home of everything that waits.
func (m *member) registerAll() {
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.first; op != nil; {
			next := op.next
			if !op.ordered {
				m.register(op)
			}
			op = next
		}
	}
	m.pump()
}

// unregisterAll notes that no home knows of anything.
func (m *member) unregisterAll() {
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered, op.promised, op.blocks = false, false, false
		}
	}
	m.lane.known, m.eager = 0, false
	m.forgetQuestions()
}

func (m *member) expose(op *operation) {
	op.exposed = true
	m.exposed[op.id] = op
}

// encode encodes a send's payload, once.
func (op *operation) encode() error {
	if op.encoded != nil {
		return nil
	}
	b, err := op.payload.Encode()
	if err != nil {
		return err
	}
	if b == nil {
		b = []byte{}
	}
	op.encoded = b
	return nil
}

// takes reports whether sink takes p as it is.
func takes(sink channel.Sink, p channel.Payload) bool {
	if _, is := p.(channel.Bytes); is {
		return true
	}
	t, can := sink.(channel.Taker)
	return can && t.Takes(p)
}

// prepare encodes the value of a send if sink needs that.
func (op *operation) prepare(sink channel.Sink) error {
	if takes(sink, op.payload) {
		return nil
	}
	return op.encode()
}

// valueFor returns the value of a send that was prepared for sink.
func (op *operation) valueFor(sink channel.Sink) channel.Payload {
	if takes(sink, op.payload) {
		return op.payload
	}
	return encodedValue(op.encoded)
}

// An encodedValue is the value of a send, in bytes that the send may use again.
type encodedValue []byte

// Encode implements [channel.Payload].
func (v encodedValue) Encode() ([]byte, error) { return v, nil }

// finish ends op with its outcome, and wakes its caller.
func (m *member) finish(op *operation, err error) {
	m.conclude(op, err)
	op.wake()
}

// conclude is finish without waking the caller, who would only wait for m.mu.
func (m *member) conclude(op *operation, err error) {
	op.remove()
	if (op.registered || op.blocks) && m.home != nil {
		m.home.send(frame{kind: withdraw, number: m.number, send: op.id})
	}
	if op.exposed {
		delete(m.exposed, op.id)
	}
	m.endOffer(op)
	op.registered, op.blocks, op.exposed, op.promised = false, false, false, false
	op.over = true
	m.pending--
	op.err = err
	if k := op.kept; k != nil {
		op.kept = nil
		m.refuse(k.from, &k.frame)
	}
	if op.notify != nil && op.sink == nil {
		op.end.async--
		op.payload, op.encoded = nil, nil // whoever holds op may do so for long
	}
	if op.ordered {
		m.lane.remove(op)
		m.advance()
	}
}

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
