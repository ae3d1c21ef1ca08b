package network

// A pair is the receive of a match whose outcome is not known yet.
type pair struct {
	owner *session   // nil: this peer
	id    uint64     // of the receive
	noted *operation // another peer's, as it was said: it may be said again
}

// pairUp tells the owner of a remote send where to deliver. The receive is
// another peer's or, set aside but still free for senders here, this peer's.
func (m *member) pairUp(op, r *operation) {
	m.forget(op)
	f := frame{kind: match, number: m.number, send: op.id, receive: r.id, at: op.at}
	if r.owner == nil {
		m.expose(r)
		r.promised = true
		f.peer, f.run = m.self(), m.space.run
	} else {
		r.remove()
		f.peer, f.run = r.owner.peer, r.owner.run
		f.addrs = m.space.node.AddrsOf(f.peer)
	}
	if op.ordered {
		m.ties[op.owner].blocked = op.id
	}
	m.credit(r.owner)
	m.unpair(remoteID{op.owner, op.id})
	m.pairs[remoteID{op.owner, op.id}] = pair{owner: r.owner, id: r.id, noted: r}
	op.owner.keep(pairCost)
	op.owner.send(f)
}

// unpair forgets the match that was made for a send, if there is one.
func (m *member) unpair(id remoteID) (pair, bool) {
	p, ok := m.pairs[id]
	if ok {
		delete(m.pairs, id)
		id.owner.memory.remove(pairCost)
	}
	return p, ok
}

// onSettle: the owner of a send tells what became of a match.
func (m *member) onSettle(s *session, t *tie, f *frame) {
	id := remoteID{s, f.send}
	p, ok := m.pairs[id]
	if !ok || p.id != f.receive {
		return // made by this peer before it stopped being home
	}
	m.unpair(id)
	if f.outcome == gone || f.outcome == later {
		m.release(p)
	} else {
		m.spent(p, f.outcome)
	}
	// A send of a lane that was refused comes again, before those behind it.
	if t.blocked == f.send && (f.outcome == accepted || f.outcome == gone) {
		t.blocked = 0
		m.rematch()
	}
}

// spent notes what became of the receive of a match. One that refused may have
// been said since to wait again.
func (m *member) spent(p pair, what outcome) {
	if t := m.ties[p.owner]; t != nil {
		if r := t.ops[p.id]; r != nil && (what == accepted || r == p.noted) {
			m.forget(r)
		}
	}
}

// release puts the receive of a match back that came to nothing.
func (m *member) release(p pair) {
	if p.owner == nil {
		r := m.exposed[p.id]
		if r == nil || !r.promised {
			return
		}
		r.promised = false
		if s := m.remoteSend(nil); s != nil && r.in != nil && r.free() {
			m.pairUp(s, r)
		}
		return
	}
	if t := m.ties[p.owner]; t != nil && t.ops[p.id] == p.noted {
		m.serve(p.noted)
	}
}
