package network

import "github.com/dstackless/dstackless/p2p"

// Two peers that cannot reach each other deliver by way of the home, which
// answers for what it has passed on until it is answered.

// passTo returns the session on which a value is passed on to a member.
func (m *member) passTo(peer p2p.ID) *session {
	for _, s := range m.space.sessionsTo(peer) {
		if t := m.ties[s]; t != nil && t.joins {
			return s
		}
	}
	return nil
}

// passOn passes a value on to the peer that it is for. It reports false if that
// cannot be reached, or has too much to read already.
func (m *member) passOn(s *session, f *frame) bool {
	to := m.passTo(f.peer)
	if to == nil {
		return false
	}
	m.greetOnce(to)
	t, id := m.ties[to], remoteID{s, f.send}
	_, again := t.passing[id]
	if !again && !to.memory.add(passCost) {
		return false
	}
	on := *f
	on.number, on.peer, on.pass = m.number, s.peer, false
	if !to.pass(on) {
		if !again {
			to.memory.remove(passCost)
		}
		return false
	}
	t.passing[id] = f.again
	return true
}

// strand tells the owners of what was passed on to the peer of s, which has not
// answered: if it said goodbye, it has not taken it.
func (m *member) strand(s *session, t *tie, goodbye bool) {
	for id, again := range t.passing {
		f := frame{kind: astray, number: m.number, send: id.id, peer: s.peer}
		if goodbye && !again {
			f.kind = refuse
		}
		id.owner.send(f)
	}
	s.memory.remove(len(t.passing) * passCost)
	clear(t.passing)
}

// passBack passes on what the peer of s answers to a value that came by way of
// this peer, the home.
func (m *member) passBack(s *session, f *frame) {
	t := m.ties[s]
	for id := range t.passing {
		if id.id == f.send && id.owner.peer == f.peer {
			delete(t.passing, id)
			s.memory.remove(passCost)
			id.owner.send(frame{kind: f.kind, number: m.number, send: f.send, peer: s.peer})
		}
	}
}

// onAstray: the home passed on a value, and has lost the peer that it was for.
func (m *member) onAstray(s *session, f *frame) {
	op := m.exposed[f.send]
	if op != nil && op.offered && op.offer.via == s && op.offer.to == f.peer && f.peer != s.peer {
		m.lose(op)
	}
}
