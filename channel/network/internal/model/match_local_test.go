package model

// start begins an operation.
func (cs *channelState) start(id opID) {
	cs.op(id).phase = waiting
	cs.submit(id)
	if c := cs.choiceOf(id); c != nil && c.state == tentative && cs.p.defect == oneBegun {
		c.stops = true
	}
}

// submit finds the other side of an operation, or queues it.
func (cs *channelState) submit(id opID) {
	if cs.p.want(id).receive {
		cs.submitReceive(id)
	} else {
		cs.submitSend(id)
	}
}

func (cs *channelState) submitSend(id opID) {
	cs.op(id).phase = waiting
	if cs.isNext(id) && cs.matchSend(id) {
		return
	}
	if cs.p.want(id).ordered {
		cs.registerPipeline()
	} else {
		cs.register(id)
	}
}

// matchSend finds a receive for a send that waits, and whose turn it is.
func (cs *channelState) matchSend(id opID) bool {
	if r := cs.receiveFor(id); r != 0 {
		cs.deliverLocal(id, r)
		cs.finish(id, done)
		return true
	}
	st := cs.fields()
	if st.receives.n > 0 && cs.reserve(id) { // only at home
		r := st.receives.list[0]
		cs.forgetRemote(r.link, r.id)
		cs.offer(id, cs.directOffer(r))
		return true
	}
	return false
}

func (cs *channelState) directOffer(r entry) offer {
	return offer{to: r.link.other(cs.me), via: r.link, incarnation: cs.end(r.link, cs.me).incarnation, receive: r.id}
}

// receiveFor returns a receive that waits, and takes the send: decided, if it is
// an alternative. Send 0 is another peer's.
func (cs *channelState) receiveFor(id opID) opID {
	for r := range cs.mine() {
		if cs.p.want(r).receive && cs.op(r).phase == waiting && cs.commit(r, id) {
			return r
		}
	}
	return 0
}

// sendFor returns a send that waits, and whose turn it is, for the receive r.
func (cs *channelState) sendFor(r opID) opID {
	for id := range cs.mine() {
		if !cs.p.want(id).receive && cs.op(id).phase == waiting && cs.isNext(id) && cs.commit(id, r) {
			return id
		}
	}
	return 0
}

func (cs *channelState) submitReceive(id opID) {
	if s := cs.sendFor(id); s != 0 {
		cs.deliverLocal(s, id)
		cs.finish(s, done)
		return
	}
	if s := cs.remoteSend(0); s >= 0 { // only at home
		x := cs.fields().sends.list[s]
		if !x.parked {
			cs.pairUp(x, 0, id)
		} else if cs.commit(id, 0) {
			cs.takeParked(x, id)
		}
		return
	}
	cs.register(id)
}

// deliverLocal gives the value of a send to a receive of this peer, and ends the receive.
func (cs *channelState) deliverLocal(s, r opID) {
	cs.accepts(s, r)
	cs.finish(r, done)
}

// finish ends an operation with its outcome.
func (cs *channelState) finish(id opID, what result) {
	op, st := cs.op(id), cs.fields()
	if (op.registered || op.blocks) && st.home != 0 {
		cs.put(st.home, frame{kind: withdraw, send: id})
	}
	place := cs.index(id)
	k := op.deferred
	*op = operation{phase: over, result: what, received: op.received, got: op.got}
	cs.checkResult(id)
	if k.send != 0 {
		cs.answer(refuse, k.from, k.send, k.origin)
	}
	if cs.p.want(id).ordered {
		if uint8(place) < st.registered {
			st.registered--
		}
		cs.advancePipeline()
	}
	cs.concluded(id)
}

func (cs *channelState) unwanted(id opID) bool {
	c := cs.choiceOf(id)
	return cs.op(id).abandoned || c != nil && c.ended || cs.fields().left
}

// withdraw ends an operation, because its context has, if it is not on its way.
// Else it does so if the peer that has it gives it back.
func (cs *channelState) withdraw(id opID) {
	op := cs.op(id)
	switch {
	case op.phase == waiting:
		cs.finish(id, cancelled)
	case op.phase != offered:
	case cs.p.defect == cancelLies:
		cs.finish(id, cancelled)
	case op.offer.via == 0 && !op.offer.resumed: // a peer is dialled, and nothing was said
		op.abandoned = true
		cs.reportGone(id)
		cs.reoffer(id)
	default:
		op.abandoned = true
		if op.offer.anyReceive && op.offer.via != 0 {
			cs.put(op.offer.via, frame{kind: withdraw, send: id})
		}
	}
}
