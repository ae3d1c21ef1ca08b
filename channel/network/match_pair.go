package network

// A pair is the receive of a match whose outcome is not known yet.
type pair struct {
	owner  *session   // nil: this peer
	id     uint64     // of the receive
	remote *operation // the receive as another peer registered it; it may be registered again since
}

// pairUp tells the owner of a remote send where to deliver. The receive is
// another peer's or, set aside but still free for senders here, this peer's.
func (cs *channelState) pairUp(op, r *operation) {
	cs.forgetRemote(op)
	f := frame{kind: match, number: cs.number, send: op.id, receive: r.id, attempt: op.attempt}
	if r.owner == nil {
		cs.makeVisible(r)
		r.promised = true
		f.peer, f.incarnation = cs.self(), cs.space.incarnation
	} else {
		r.remove()
		f.peer, f.incarnation = r.owner.peer, r.owner.incarnation
		f.addrs = cs.space.node.AddrsOf(f.peer)
	}
	if op.ordered {
		cs.attachments[op.owner].blocked = op.id
	}
	cs.countMatch(r.owner)
	cs.unpair(remoteID{op.owner, op.id})
	cs.pairs[remoteID{op.owner, op.id}] = pair{owner: r.owner, id: r.id, remote: r}
	op.owner.charge(pairBytes)
	op.owner.send(f)
}

// unpair forgets the match that was made for a send, if there is one.
func (cs *channelState) unpair(id remoteID) (pair, bool) {
	p, ok := cs.pairs[id]
	if ok {
		delete(cs.pairs, id)
		id.owner.memory.remove(pairBytes)
	}
	return p, ok
}

// onMatchResult: the owner of a send tells what became of a match.
func (cs *channelState) onMatchResult(s *session, att *attachment, f *frame) {
	id := remoteID{s, f.send}
	p, ok := cs.pairs[id]
	if !ok || p.id != f.receive {
		return // made by this peer before it stopped being home
	}
	cs.unpair(id)
	if f.outcome == gone || f.outcome == later {
		cs.returnReceive(p)
	} else {
		cs.receiveEnded(p, f.outcome)
	}
	// A send of a pipeline that was refused comes again, before those behind it.
	if att.blocked == f.send && (f.outcome == accepted || f.outcome == gone) {
		att.blocked = 0
		cs.rematch()
	}
}

// receiveEnded notes what became of the receive of a match. One that refused may have
// been said since to wait again.
func (cs *channelState) receiveEnded(p pair, what outcome) {
	if att := cs.attachments[p.owner]; att != nil {
		if r := att.ops[p.id]; r != nil && (what == accepted || r == p.remote) {
			cs.forgetRemote(r)
		}
	}
}

// returnReceive puts the receive of a match back that came to nothing.
func (cs *channelState) returnReceive(p pair) {
	if p.owner == nil {
		r := cs.remoteVisible[p.id]
		if r == nil || !r.promised {
			return
		}
		r.promised = false
		if s := cs.remoteSend(nil); s != nil && r.in != nil && r.free() {
			cs.pairUp(s, r)
		}
		return
	}
	if att := cs.attachments[p.owner]; att != nil && att.ops[p.id] == p.remote {
		cs.matchReceive(p.remote)
	}
}
