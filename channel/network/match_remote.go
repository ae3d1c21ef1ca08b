package network

import (
	"fmt"
	"sync"
)

// remoteOperations recycles the operations of other peers that were met here.
var remoteOperations = sync.Pool{New: func() any { return new(operation) }}

// maxRemoteOperations is how many operations of a peer a home keeps for one channel. It is
// more than may wait, because that a receive has its value is heard later, from
// the owner of the send.
const maxRemoteOperations = 2 * MaxPending

// registerRemote makes an operation of another peer known here.
func (cs *channelState) registerRemote(s *session, att *attachment, id, at uint64) (*operation, error) {
	if old := att.ops[id]; old != nil {
		cs.forgetRemote(old)
	} else if len(att.ops) >= maxRemoteOperations {
		return nil, fmt.Errorf("more than %d operations on a channel", maxRemoteOperations)
	}
	if !s.charge(operationBytes) {
		return nil, errMemory
	}
	op := remoteOperations.Get().(*operation)
	op.id, op.owner, op.attempt = id, s, at
	att.ops[id] = op
	return op, nil
}

// forgetRemote drops an operation of another peer.
func (cs *channelState) forgetRemote(op *operation) {
	att := cs.attachments[op.owner]
	if op.in != nil && op.ordered && att != nil {
		att.dequeue(op)
	}
	op.remove()
	cs.dropParked(op)
	if att != nil && att.ops[op.id] == op {
		delete(att.ops, op.id)
		op.owner.memory.remove(operationBytes)
	}
}

// redirect answers a request that only the home can serve.
func (cs *channelState) redirect(s *session, att *attachment, f *frame) {
	cs.sendHello(s, att)
	if f.kind == send && f.value != nil {
		s.send(frame{kind: queued, number: cs.number, send: f.send, attempt: f.attempt})
	}
}

// onWithdraw: the operation does not wait any more.
func (cs *channelState) onWithdraw(att *attachment, id uint64) {
	op := att.ops[id]
	if op != nil {
		if op.encoded != nil {
			cs.unpark(op)
		}
		cs.forgetRemote(op)
	}
	if att.blocked == id {
		att.blocked = 0
	} else if op == nil || !op.ordered {
		return
	}
	cs.rematch()
}

// forgetOperations drops what the home knows of the operations of s.
func (cs *channelState) forgetOperations(s *session, att *attachment) {
	for _, op := range att.ops {
		if op.encoded != nil {
			cs.unpark(op) // it may be the home that goes, not the session
		}
		cs.forgetRemote(op)
	}
	s.memory.remove(len(att.ops) * operationBytes) // if the attachment has ended already
	clear(att.ops)
	att.joined, att.blocked, att.pipeline, att.successorSent = false, 0, nil, ""
	cs.successorStale = true
	for id, p := range cs.pairs {
		if id.owner == s {
			cs.unpair(id)
			cs.returnReceive(p)
		}
	}
}
