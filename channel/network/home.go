package network

import (
	"fmt"
	"time"
)

// onSend: the peer of s has a send that waits.
func (m *member) onSend(s *session, t *tie, f *frame) error {
	if f.again && m.space.wasTaken(s.peer, f.send) {
		s.send(frame{kind: accept, number: m.number, send: f.send})
		return nil
	}
	if !m.isHome() {
		m.redirect(s, t, f)
		return nil
	}
	if r := m.receives.first; r != nil && f.value != nil {
		m.take(r, f.value)
		s.send(frame{kind: accept, number: m.number, send: f.send})
		return nil
	}
	// Its owner asks again: nothing comes of an earlier match.
	if r, ok := m.pairs[remoteID{s, f.send}]; ok {
		delete(m.pairs, remoteID{s, f.send})
		m.release(r)
	}
	op, err := m.note(s, t, f.send)
	if err != nil {
		return err
	}
	if r := m.remoteReceiveFor(s); r != nil {
		m.pairUp(op, r)
		return nil
	}
	m.remoteSends.push(op)
	if f.value != nil {
		m.hold(op, f.value)
		return nil
	}
	for r := m.receives.first; r != nil; r = r.next {
		if !r.promised {
			m.pairUp(op, r)
			break
		}
	}
	return nil
}

const (
	// holdTime is how long the home keeps a value for which no receive is
	// waiting, before it says so. A receiver in a loop is back by then, and
	// the value needs no second trip.
	holdTime = time.Millisecond
	// maxHeld is how many bytes a channel's home keeps like that.
	maxHeld = 1 << 20
)

// hold keeps the value of a remote send that waits, for a moment.
func (m *member) hold(op *operation, value []byte) {
	if m.held+len(value) > maxHeld {
		m.unhold(op)
		return
	}
	op.encoded = value
	if m.held += len(value); m.holding == nil {
		m.holding = time.AfterFunc(holdTime, func() {
			m.mu.Lock()
			defer m.unlock()
			m.holding = nil
			for op := m.remoteSends.first; op != nil; op = op.next {
				if op.encoded != nil {
					m.unhold(op)
				}
			}
		})
	}
}

// unhold drops the value of a remote send and tells its owner.
func (m *member) unhold(op *operation) {
	m.held -= len(op.encoded)
	op.encoded = nil
	op.owner.send(frame{kind: queued, number: m.number, send: op.id})
}

// onReceive: the peer of s has a receive that waits.
func (m *member) onReceive(s *session, t *tie, f *frame) error {
	if !m.isHome() {
		m.redirect(s, t, f)
		return nil
	}
	r, err := m.note(s, t, f.receive)
	if err != nil {
		return err
	}
	m.serve(r)
	return nil
}

// serve finds a send for a remote receive, or queues it.
func (m *member) serve(r *operation) {
	for op := m.sends.first; op != nil; op = m.sends.first {
		if err := op.encode(); err != nil {
			m.finish(op, err)
			continue
		}
		m.forget(r)
		m.offer(op, offer{to: r.owner.peer, via: r.owner, run: r.owner.run, receive: r.id})
		return
	}
	for op := m.remoteSends.first; op != nil; op = op.next {
		if op.owner != r.owner {
			m.pairUp(op, r)
			return
		}
	}
	m.remoteReceives.restore(r)
}

// remoteReceiveFor returns the first remote receive that is not s's own: a
// peer's own operations find each other there.
func (m *member) remoteReceiveFor(s *session) *operation {
	for r := m.remoteReceives.first; r != nil; r = r.next {
		if r.owner != s {
			return r
		}
	}
	return nil
}

// redirect answers a request that only the home can serve.
func (m *member) redirect(s *session, t *tie, f *frame) {
	m.greet(s, t)
	if f.kind == send && f.value != nil {
		s.send(frame{kind: queued, number: m.number, send: f.send})
	}
}

// maxNoted is how many operations of a peer a home keeps for one channel. It is
// more than may wait, because that a receive has its value is heard later, from
// the owner of the send.
const maxNoted = 2 * MaxPending

// note makes an operation of another peer known here.
func (m *member) note(s *session, t *tie, id uint64) (*operation, error) {
	if old := t.ops[id]; old != nil {
		m.forget(old)
	} else if len(t.ops) >= maxNoted {
		return nil, fmt.Errorf("more than %d operations on a channel", maxNoted)
	}
	op := &operation{id: id, owner: s}
	t.ops[id] = op
	return op, nil
}

// forget drops an operation of another peer.
func (m *member) forget(op *operation) {
	op.remove()
	m.held -= len(op.encoded)
	op.encoded = nil
	if t := m.ties[op.owner]; t != nil {
		delete(t.ops, op.id)
	}
}

// onWithdraw: the operation does not wait any more.
func (m *member) onWithdraw(t *tie, id uint64) {
	if op := t.ops[id]; op != nil {
		m.forget(op)
	}
}

// pairUp tells the owner of a remote send where to deliver. The receive is
// another peer's or, set aside but still free for senders here, this peer's.
func (m *member) pairUp(op, r *operation) {
	m.forget(op)
	f := frame{kind: match, number: m.number, send: op.id, receive: r.id}
	if r.owner == nil {
		m.expose(r)
		r.promised = true
		f.peer = m.self()
	} else {
		r.remove()
		f.peer = r.owner.peer
		f.addrs = m.space.node.AddrsOf(f.peer)
	}
	m.pairs[remoteID{op.owner, op.id}] = remoteID{r.owner, r.id}
	op.owner.send(f)
}

// onSettle: the owner of a send tells what became of a match.
func (m *member) onSettle(s *session, f *frame) {
	id := remoteID{s, f.send}
	r, ok := m.pairs[id]
	if !ok || r.id != f.receive {
		return // made by this peer before it stopped being home
	}
	delete(m.pairs, id)
	if f.outcome == gone {
		m.release(r)
	} else if t := m.ties[r.owner]; t != nil {
		delete(t.ops, r.id)
	}
}

// release puts the receive of a match back that came to nothing.
func (m *member) release(id remoteID) {
	if id.owner == nil {
		r := m.exposed[id.id]
		if r == nil || !r.promised {
			return
		}
		r.promised = false
		if s := m.remoteSends.first; s != nil {
			m.pairUp(s, r)
		}
		return
	}
	if t := m.ties[id.owner]; t != nil && t.ops[id.id] != nil {
		m.serve(t.ops[id.id])
	}
}

// dissolve drops what the home knows of the operations of s.
func (m *member) dissolve(s *session, t *tie) {
	for _, op := range t.ops {
		if op.encoded != nil {
			m.unhold(op) // it may be the home that goes, not the session
		}
		m.forget(op)
	}
	t.joins = false
	for id, r := range m.pairs {
		if id.owner == s {
			delete(m.pairs, id)
			m.release(r)
		}
	}
}
