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
func (cs *channelState) hold(op *operation, value []byte) {
	if cs.held+len(value) > maxHeld || cs.space.parkedBytes.Load()+int64(len(value)) > maxHeldAll {
		op.owner.send(frame{kind: queued, number: cs.number, send: op.id, attempt: op.attempt})
		return
	}
	op.encoded = value
	cs.held += len(value)
	cs.space.parkedBytes.Add(int64(len(value)))
	switch {
	case op.ordered && cs.waitLane == nil:
		seen := cs.takes
		cs.waitLane = time.AfterFunc(laneTime, func() { cs.endHold(&seen) })
	case !op.ordered && cs.waitPlain == nil:
		cs.waitPlain = time.AfterFunc(holdTime, func() { cs.endHold(nil) })
	}
}

// endHold ends the time of the values that are kept: those of lanes, if none
// was taken since seen, or the others.
func (cs *channelState) endHold(seen *uint64) {
	cs.mu.Lock()
	defer cs.unlock()
	if seen == nil {
		cs.waitPlain = nil
	} else if *seen != cs.takes {
		*seen = cs.takes
		cs.waitLane.Reset(laneTime)
		return
	} else {
		cs.waitLane = nil
	}
	for op := cs.remoteSends.first; op != nil; op = op.next {
		if op.encoded != nil && op.ordered == (seen != nil) {
			cs.unhold(op)
		}
	}
}

// unhold drops the value of a remote send and tells its owner.
func (cs *channelState) unhold(op *operation) {
	cs.drop(op)
	op.owner.send(frame{kind: queued, number: cs.number, send: op.id, attempt: op.attempt})
}

// drop drops the value of a remote send, if it is here.
func (cs *channelState) drop(op *operation) {
	if n := len(op.encoded); n > 0 {
		cs.held -= n
		cs.space.parkedBytes.Add(-int64(n))
	}
	op.encoded = nil
}

// takeHeld takes a value that is kept here for a receive of this peer.
func (cs *channelState) takeHeld(s *operation) []byte {
	value := s.encoded
	cs.forget(s)
	cs.takes++
	cs.countMatch(nil)
	s.owner.send(frame{kind: accept, number: cs.number, send: s.id})
	*s = operation{}
	noted.Put(s)
	return value
}
