package network

import (
	"github.com/dstackless/dstackless/channel"
)

// admit gives op its id, and its place in the pipeline.
func (cs *channelState) admit(op *operation) {
	cs.lastID++
	op.id = cs.lastID
	cs.pending++
	if op.sink == nil && op.endpoint.async > 0 {
		cs.pipeline.push(op)
	}
}

// submit finds the other side of op, or queues it.
func (cs *channelState) submit(op *operation) {
	op.remove()
	if op.sink != nil {
		cs.submitReceive(op)
	} else {
		cs.submitSend(op)
	}
}

// submitSend finds a receive for op, or queues it.
func (cs *channelState) submitSend(op *operation) {
	cs.sends.restore(op)
	if cs.isNext(op) && cs.matchSend(op) {
		return
	}
	if op.ordered {
		cs.registerPipeline()
	} else {
		cs.register(op)
	}
}

// matchSend finds a receive for a send that waits, and whose turn it is.
func (cs *channelState) matchSend(op *operation) bool {
	r, err := cs.localReceiveFor(op)
	if err != nil {
		cs.finish(op, err)
		return true
	}
	if r != nil {
		cs.deliverLocal(op.valueFor(r.sink), r)
		cs.finish(op, nil)
		return true
	}
	if r := cs.remoteReceives.first; r != nil && op.reserve() { // only at home
		if err := op.encode(); err != nil {
			cs.finish(op, err)
			return true
		}
		cs.forgetRemote(r)
		cs.countMatch(r.owner)
		cs.offer(op, offer{to: r.owner.peer, via: r.owner, incarnation: r.owner.incarnation, receive: r.id})
		return true
	}
	return false
}

// receiveFor returns a receive that waits, and takes another peer's send:
// decided, if it is an alternative.
func (cs *channelState) receiveFor() *operation {
	for r := cs.receives.first; r != nil; r = r.next {
		if commit(r, nil) {
			return r
		}
	}
	return nil
}

// localReceiveFor is receiveFor for a send of this peer. The error says that
// its value has to be encoded, and cannot be.
func (cs *channelState) localReceiveFor(op *operation) (*operation, error) {
	for r := cs.receives.first; r != nil; r = r.next {
		if err := op.prepare(r.sink); err != nil {
			return nil, err
		}
		if commit(r, op) {
			return r, nil
		}
	}
	return nil, nil
}

// receiveTaking is receiveFor for a value of this peer which need not be
// encoded. It returns nil if it must be.
func (cs *channelState) receiveTaking(p channel.Payload) *operation {
	for r := cs.receives.first; r != nil && takes(r.sink, p); r = r.next {
		if commit(r, nil) {
			return r
		}
	}
	return nil
}

// sendFor returns a send that waits, and whose turn it is, for the receive r,
// which has the sink s. A nil r is one without alternatives. It ends sends whose
// value has to be encoded, and cannot be.
func (cs *channelState) sendFor(s channel.Sink, r *operation) *operation {
	for op := cs.sends.first; op != nil; {
		if !cs.isNext(op) {
			op = op.next
		} else if err := op.prepare(s); err != nil {
			cs.finish(op, err)
			op = cs.sends.first
		} else if commit(op, r) {
			return op
		} else {
			op = op.next
		}
	}
	return nil
}

// submitReceive finds a send for op, or queues it.
func (cs *channelState) submitReceive(op *operation) {
	if s := cs.sendFor(op.sink, op); s != nil {
		op.sink.Accept(s.valueFor(op.sink))
		cs.finish(s, nil)
		cs.finish(op, nil)
		return
	}
	cs.receives.restore(op)
	if s := cs.remoteSend(nil); s != nil { // only at home
		if s.encoded == nil {
			cs.pairUp(s, op)
		} else if commit(op, nil) {
			cs.deliverRemote(op, cs.takeParked(s))
		}
		return
	}
	cs.register(op)
}

// deliverLocal gives p to the waiting receive r.
func (cs *channelState) deliverLocal(p channel.Payload, r *operation) {
	r.sink.Accept(p)
	cs.finish(r, nil)
}
