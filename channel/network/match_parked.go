package network

import "time"

const (
	// holdTime is how long the home keeps a value for which no receive is
	// waiting, before it says so. A receiver in a loop is back by then, and
	// the value needs no second trip.
	holdTime = time.Millisecond
	// laneTime is how long it keeps those of a lane after the last receive
	// here: 50 ms.
	laneTime = 50 * time.Millisecond
	// maxHeld is how many bytes a channel's home keeps like that: 4 MiB.
	maxHeld = 4 << 20
	// maxHeldAll is how many bytes the homes of all channels keep: 64 MiB.
	maxHeldAll = 64 << 20
)

// hold keeps the value of a remote send that waits, for a moment.
func (m *member) hold(op *operation, value []byte) {
	if m.held+len(value) > maxHeld || m.space.held.Load()+int64(len(value)) > maxHeldAll {
		op.owner.send(frame{kind: queued, number: m.number, send: op.id, at: op.at})
		return
	}
	op.encoded = value
	m.held += len(value)
	m.space.held.Add(int64(len(value)))
	switch {
	case op.ordered && m.waitLane == nil:
		seen := m.takes
		m.waitLane = time.AfterFunc(laneTime, func() { m.endHold(&seen) })
	case !op.ordered && m.waitPlain == nil:
		m.waitPlain = time.AfterFunc(holdTime, func() { m.endHold(nil) })
	}
}

// endHold ends the time of the values that are kept: those of lanes, if none
// was taken since seen, or the others.
func (m *member) endHold(seen *uint64) {
	m.mu.Lock()
	defer m.unlock()
	if seen == nil {
		m.waitPlain = nil
	} else if *seen != m.takes {
		*seen = m.takes
		m.waitLane.Reset(laneTime)
		return
	} else {
		m.waitLane = nil
	}
	for op := m.remoteSends.first; op != nil; op = op.next {
		if op.encoded != nil && op.ordered == (seen != nil) {
			m.unhold(op)
		}
	}
}

// unhold drops the value of a remote send and tells its owner.
func (m *member) unhold(op *operation) {
	m.drop(op)
	op.owner.send(frame{kind: queued, number: m.number, send: op.id, at: op.at})
}

// drop drops the value of a remote send, if it is here.
func (m *member) drop(op *operation) {
	if n := len(op.encoded); n > 0 {
		m.held -= n
		m.space.held.Add(-int64(n))
	}
	op.encoded = nil
}

// takeHeld takes a value that is kept here for a receive of this peer.
func (m *member) takeHeld(s *operation) []byte {
	value := s.encoded
	m.forget(s)
	m.takes++
	m.credit(nil)
	s.owner.send(frame{kind: accept, number: m.number, send: s.id})
	*s = operation{}
	noted.Put(s)
	return value
}
