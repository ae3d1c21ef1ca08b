package network

import "github.com/dstackless/dstackless/channel"

// inline is the size of the largest value that goes to the home together with
// the request for a match: 128 KiB. If a receive of the home's own is waiting,
// one round trip does. It goes along if the home received the last one: who may
// have taken a value when it is lost leaves the sender in doubt.
const inline = channel.MaxReused

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
