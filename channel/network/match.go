package network

import (
	"slices"
)

// onSend: the peer of s has a send that waits.
func (m *member) onSend(s *session, t *tie, f *frame) error {
	if f.again && m.space.wasTaken(s.peer, f.send) {
		s.send(frame{kind: accept, number: m.number, send: f.send})
		return nil
	}
	if f.again && f.value == nil { // that was all it asked
		s.send(frame{kind: queued, number: m.number, send: f.send, at: f.at})
		return nil
	}
	// A send of a lane that was meant for an earlier time of this home came
	// behind others, which were given back since.
	if !m.isHome() || f.ordered && f.under != m.claim.generation {
		m.redirect(s, t, f)
		return nil
	}
	// Its owner asks again: nothing comes of an earlier match.
	if p, ok := m.unpair(remoteID{s, f.send}); ok {
		m.release(p)
	}
	if t.blocked == f.send {
		t.blocked = 0
	}
	turn := !f.ordered || t.blocked == 0 && len(t.lane) == 0
	if turn && f.value != nil {
		if r := m.receiveFor(); r != nil {
			m.takes++
			m.credit(nil)
			m.take(r, f.value)
			s.send(frame{kind: accept, number: m.number, send: f.send})
			return nil
		}
	}
	op, err := m.note(s, t, f.send, f.at)
	if err != nil {
		return err
	}
	if f.ordered {
		op.ordered = true
		t.line(op)
		m.remoteSends.restore(op)
	} else {
		m.remoteSends.push(op)
	}
	if turn && m.match(op) {
		return nil
	}
	if f.value != nil {
		m.hold(op, f.value)
	}
	if !turn && m.mayPair(op) { // it has come back, before those behind it
		m.match(op)
	}
	return nil
}

// match finds a receive for a send of another peer whose turn it is.
func (m *member) match(op *operation) bool {
	if op.encoded != nil {
		if r := m.receiveFor(); r != nil {
			m.take(r, m.takeHeld(op))
			return true
		}
	}
	if r := m.remoteReceiveFor(op.owner); r != nil {
		m.pairUp(op, r)
		return true
	}
	for r := m.receives.first; r != nil; r = r.next {
		if r.free() {
			m.pairUp(op, r)
			return true
		}
	}
	return false
}

// rematch finds receives for the sends of other peers whose turn has come.
func (m *member) rematch() {
	for op := m.remoteSends.first; op != nil; {
		if m.mayPair(op) && m.match(op) {
			op = m.remoteSends.first
		} else {
			op = op.next
		}
	}
}

// mayPair reports whether nothing of its lane comes before op.
func (m *member) mayPair(op *operation) bool {
	if !op.ordered {
		return true
	}
	t := m.ties[op.owner]
	return t.blocked == 0 && t.lane[0] == op
}

// line puts op into its place in the lane: behind all others, unless it comes
// back.
func (t *tie) line(op *operation) {
	i := len(t.lane)
	for i > 0 && t.lane[i-1].id > op.id {
		i--
	}
	t.lane = slices.Insert(t.lane, i, op)
}

// unline removes op.
func (t *tie) unline(op *operation) {
	if t.lane[0] == op {
		t.lane[0] = nil
		t.lane = t.lane[1:]
	} else if i := slices.Index(t.lane, op); i > 0 {
		t.lane = slices.Delete(t.lane, i, i+1)
	}
}

// remoteSend returns the first send of another peer whose turn it is, and which
// does not belong to the peer of r, a remote receive, or nil for one of this
// peer's: a peer's own operations find each other there.
func (m *member) remoteSend(r *operation) *operation {
	for op := m.remoteSends.first; op != nil; op = op.next {
		if (r == nil || op.owner.peer != r.owner.peer) && m.mayPair(op) {
			return op
		}
	}
	return nil
}

// remoteReceiveFor returns the first remote receive that is not of s's own peer.
func (m *member) remoteReceiveFor(s *session) *operation {
	for r := m.remoteReceives.first; r != nil; r = r.next {
		if r.owner.peer != s.peer {
			return r
		}
	}
	return nil
}

// onReceive: the peer of s has a receive that waits.
func (m *member) onReceive(s *session, t *tie, f *frame) error {
	if !m.isHome() {
		m.redirect(s, t, f)
		return nil
	}
	r, err := m.note(s, t, f.receive, 0)
	if err != nil {
		return err
	}
	m.serve(r)
	return nil
}

// serve finds a send for a remote receive, or queues it.
func (m *member) serve(r *operation) {
	for op := m.sends.first; op != nil; {
		if !m.turn(op) || !op.reserve() {
			op = op.next
			continue
		}
		if err := op.encode(); err != nil {
			m.finish(op, err)
			op = m.sends.first
			continue
		}
		m.forget(r)
		m.credit(r.owner)
		m.offer(op, offer{to: r.owner.peer, via: r.owner, run: r.owner.run, receive: r.id})
		return
	}
	if op := m.remoteSend(r); op != nil {
		m.pairUp(op, r)
		return
	}
	m.remoteReceives.restore(r)
}
