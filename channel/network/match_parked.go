package network

import "time"

const (
	// parkTimeout is how long the home keeps a value for which no receive is
	// waiting, before it says so. A receiver in a loop is back by then, and
	// the value needs no second trip.
	parkTimeout = time.Millisecond
	// pipelineParkTimeout is how long it keeps those of a pipeline after the last receive
	// here: 50 ms.
	pipelineParkTimeout = 50 * time.Millisecond
	// maxParkedBytes is how many bytes a channel's home keeps like that: 4 MiB.
	maxParkedBytes = 4 << 20
	// maxParkedBytesAll is how many bytes the homes of all channels keep: 64 MiB.
	maxParkedBytesAll = 64 << 20
)

// park keeps the value of a remote send that waits, for a moment.
func (cs *channelState) park(op *operation, value []byte) {
	if cs.parkedBytes+len(value) > maxParkedBytes || cs.space.parkedBytes.Load()+int64(len(value)) > maxParkedBytesAll {
		op.owner.send(frame{kind: queued, number: cs.number, send: op.id, attempt: op.attempt})
		return
	}
	op.encoded = value
	cs.parkedBytes += len(value)
	cs.space.parkedBytes.Add(int64(len(value)))
	switch {
	case op.ordered && cs.pipelineParkTimer == nil:
		seen := cs.valuesReceived
		cs.pipelineParkTimer = time.AfterFunc(pipelineParkTimeout, func() { cs.unparkExpired(&seen) })
	case !op.ordered && cs.parkTimer == nil:
		cs.parkTimer = time.AfterFunc(parkTimeout, func() { cs.unparkExpired(nil) })
	}
}

// unparkExpired ends the time of the parked values: those of pipelines, if none
// was taken since seen, or the others.
func (cs *channelState) unparkExpired(seen *uint64) {
	cs.mu.Lock()
	defer cs.unlock()
	if seen == nil {
		cs.parkTimer = nil
	} else if *seen != cs.valuesReceived {
		*seen = cs.valuesReceived
		cs.pipelineParkTimer.Reset(pipelineParkTimeout)
		return
	} else {
		cs.pipelineParkTimer = nil
	}
	for op := cs.remoteSends.first; op != nil; op = op.next {
		if op.encoded != nil && op.ordered == (seen != nil) {
			cs.unpark(op)
		}
	}
}

// unpark drops the parked value of a remote send and tells the owner that the send is queued.
func (cs *channelState) unpark(op *operation) {
	cs.dropParked(op)
	op.owner.send(frame{kind: queued, number: cs.number, send: op.id, attempt: op.attempt})
}

// dropParked drops the value of a remote send, if it is here.
func (cs *channelState) dropParked(op *operation) {
	if n := len(op.encoded); n > 0 {
		cs.parkedBytes -= n
		cs.space.parkedBytes.Add(-int64(n))
	}
	op.encoded = nil
}

// takeParked returns a parked value for a receive of this peer, and accepts the send.
func (cs *channelState) takeParked(s *operation) []byte {
	value := s.encoded
	cs.forgetRemote(s)
	cs.valuesReceived++
	cs.countMatch(nil)
	s.owner.send(frame{kind: accept, number: cs.number, send: s.id})
	*s = operation{}
	remoteOperations.Put(s)
	return value
}
