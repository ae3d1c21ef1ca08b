package network

import (
	"fmt"
	"sync"
)

// noted recycles the operations of other peers that were met here.
var noted = sync.Pool{New: func() any { return new(operation) }}

// maxNoted is how many operations of a peer a home keeps for one channel. It is
// more than may wait, because that a receive has its value is heard later, from
// the owner of the send.
const maxNoted = 2 * MaxPending

// note makes an operation of another peer known here.
func (m *member) note(s *session, t *tie, id, at uint64) (*operation, error) {
	if old := t.ops[id]; old != nil {
		m.forget(old)
	} else if len(t.ops) >= maxNoted {
		return nil, fmt.Errorf("more than %d operations on a channel", maxNoted)
	}
	if !s.keep(operationCost) {
		return nil, errKept
	}
	op := noted.Get().(*operation)
	op.id, op.owner, op.at = id, s, at
	t.ops[id] = op
	return op, nil
}

// forget drops an operation of another peer.
func (m *member) forget(op *operation) {
	t := m.ties[op.owner]
	if op.in != nil && op.ordered && t != nil {
		t.unline(op)
	}
	op.remove()
	m.drop(op)
	if t != nil && t.ops[op.id] == op {
		delete(t.ops, op.id)
		op.owner.memory.remove(operationCost)
	}
}

// redirect answers a request that only the home can serve.
func (m *member) redirect(s *session, t *tie, f *frame) {
	m.greet(s, t)
	if f.kind == send && f.value != nil {
		s.send(frame{kind: queued, number: m.number, send: f.send, at: f.at})
	}
}

// onWithdraw: the operation does not wait any more.
func (m *member) onWithdraw(t *tie, id uint64) {
	op := t.ops[id]
	if op != nil {
		if op.encoded != nil {
			m.unhold(op)
		}
		m.forget(op)
	}
	if t.blocked == id {
		t.blocked = 0
	} else if op == nil || !op.ordered {
		return
	}
	m.rematch()
}

// dissolve drops what the home knows of the operations of s.
func (m *member) dissolve(s *session, t *tie) {
	for _, op := range t.ops {
		if op.encoded != nil {
			m.unhold(op) // it may be the home that goes, not the session
		}
		m.forget(op)
	}
	s.memory.remove(len(t.ops) * operationCost) // if the tie is cut already
	clear(t.ops)
	t.joins, t.blocked, t.lane, t.heir = false, 0, nil, ""
	m.heirless = true
	for id, p := range m.pairs {
		if id.owner == s {
			m.unpair(id)
			m.release(p)
		}
	}
}
