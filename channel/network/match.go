package network

import (
	"slices"
)

// onSend: the peer of s has a send that waits.
func (cs *channelState) onSend(s *session, att *attachment, f *frame) error {
	if f.resumed && cs.space.wasAccepted(s.peer, f.send) {
		s.send(frame{kind: accept, number: cs.number, send: f.send})
		return nil
	}
	if f.resumed && f.value == nil { // that was all it asked
		s.send(frame{kind: queued, number: cs.number, send: f.send, attempt: f.attempt})
		return nil
	}
	// A send of a pipeline that was meant for an earlier time of this home came
	// behind others, which were given back since.
	if !cs.isHome() || f.ordered && f.term != cs.claim.term {
		cs.redirect(s, att, f)
		return nil
	}
	// Its owner asks again: nothing comes of an earlier match.
	if p, ok := cs.unpair(remoteID{s, f.send}); ok {
		cs.returnReceive(p)
	}
	if att.blocked == f.send {
		att.blocked = 0
	}
	turn := !f.ordered || att.blocked == 0 && len(att.pipeline) == 0
	if turn && f.value != nil {
		if r := cs.receiveFor(); r != nil {
			cs.valuesReceived++
			cs.countMatch(nil)
			cs.deliverRemote(r, f.value)
			s.send(frame{kind: accept, number: cs.number, send: f.send})
			return nil
		}
	}
	op, err := cs.registerRemote(s, att, f.send, f.attempt)
	if err != nil {
		return err
	}
	if f.ordered {
		op.ordered = true
		att.enqueue(op)
		cs.remoteSends.restore(op)
	} else {
		cs.remoteSends.push(op)
	}
	if turn && cs.match(op) {
		return nil
	}
	if f.value != nil {
		cs.park(op, f.value)
	}
	if !turn && cs.mayMatch(op) { // it has come back, before those behind it
		cs.match(op)
	}
	return nil
}

// match finds a receive for a send of another peer whose turn it is.
func (cs *channelState) match(op *operation) bool {
	if op.encoded != nil {
		if r := cs.receiveFor(); r != nil {
			cs.deliverRemote(r, cs.takeParked(op))
			return true
		}
	}
	if r := cs.remoteReceiveFor(op.owner); r != nil {
		cs.pairUp(op, r)
		return true
	}
	for r := cs.receives.first; r != nil; r = r.next {
		if r.free() {
			cs.pairUp(op, r)
			return true
		}
	}
	return false
}

// rematch finds receives for the sends of other peers whose turn has come.
func (cs *channelState) rematch() {
	for op := cs.remoteSends.first; op != nil; {
		if cs.mayMatch(op) && cs.match(op) {
			op = cs.remoteSends.first
		} else {
			op = op.next
		}
	}
}

// mayMatch reports whether nothing of its pipeline comes before op.
func (cs *channelState) mayMatch(op *operation) bool {
	if !op.ordered {
		return true
	}
	att := cs.attachments[op.owner]
	return att.blocked == 0 && att.pipeline[0] == op
}

// line puts op into its place in the pipeline: behind all others, unless it comes
// back.
func (att *attachment) enqueue(op *operation) {
	i := len(att.pipeline)
	for i > 0 && att.pipeline[i-1].id > op.id {
		i--
	}
	att.pipeline = slices.Insert(att.pipeline, i, op)
}

// unline removes op.
func (att *attachment) dequeue(op *operation) {
	if att.pipeline[0] == op {
		att.pipeline[0] = nil
		att.pipeline = att.pipeline[1:]
	} else if i := slices.Index(att.pipeline, op); i > 0 {
		att.pipeline = slices.Delete(att.pipeline, i, i+1)
	}
}

// remoteSend returns the first send of another peer whose turn it is, and which
// does not belong to the peer of r, a remote receive, or nil for one of this
// peer's: a peer's own operations find each other there.
func (cs *channelState) remoteSend(r *operation) *operation {
	for op := cs.remoteSends.first; op != nil; op = op.next {
		if (r == nil || op.owner.peer != r.owner.peer) && cs.mayMatch(op) {
			return op
		}
	}
	return nil
}

// remoteReceiveFor returns the first remote receive that is not of s's own peer.
func (cs *channelState) remoteReceiveFor(s *session) *operation {
	for r := cs.remoteReceives.first; r != nil; r = r.next {
		if r.owner.peer != s.peer {
			return r
		}
	}
	return nil
}

// onReceive: the peer of s has a receive that waits.
func (cs *channelState) onReceive(s *session, att *attachment, f *frame) error {
	if !cs.isHome() {
		cs.redirect(s, att, f)
		return nil
	}
	r, err := cs.registerRemote(s, att, f.receive, 0)
	if err != nil {
		return err
	}
	cs.matchReceive(r)
	return nil
}

// matchReceive finds a send for a remote receive, or queues it.
func (cs *channelState) matchReceive(r *operation) {
	for op := cs.sends.first; op != nil; {
		if !cs.isNext(op) || !op.reserve() {
			op = op.next
			continue
		}
		if err := op.encode(); err != nil {
			cs.finish(op, err)
			op = cs.sends.first
			continue
		}
		cs.forgetRemote(r)
		cs.countMatch(r.owner)
		cs.offer(op, offer{to: r.owner.peer, via: r.owner, incarnation: r.owner.incarnation, receive: r.id})
		return
	}
	if op := cs.remoteSend(r); op != nil {
		cs.pairUp(op, r)
		return
	}
	cs.remoteReceives.restore(r)
}
