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
	clear(t.passing)
}

// passBack passes on what the peer of s answers to a value that came by way of
// this peer, the home.
func (m *member) passBack(s *session, f *frame) {
	t := m.ties[s]
	for id := range t.passing {
		if id.id == f.send && id.owner.peer == f.peer {
			delete(t.passing, id)
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
