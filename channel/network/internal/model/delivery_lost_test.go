package model

// onSessionLost: a session has ended, and what its peer heard or said last is not known.
func (cs *channelState) onSessionLost(s linkID) {
	cs.forgetOperations(s, nil)
	cs.failRelayed(s, true)
	for id := range cs.mine() {
		op := cs.op(id)
		if op.phase == offered && op.offer.via == s {
			cs.startResume(id)
		}
		if op.deferred.from == s {
			op.deferred = deferredOffer{} // it is offered again
		}
	}
	if st := cs.fields(); st.home == s {
		st.home = 0
		cs.unregisterAll()
	}
}

// startResume begins to ask the peer that was taking a value whether it did.
func (cs *channelState) startResume(id opID) {
	op := cs.op(id)
	if cs.p.defect == retriesInDoubt {
		cs.reoffer(id)
		return
	}
	op.offer.via, op.offer.resumed = 0, true
}

// lostSendsTo reports whether a peer was taking sends when its session was lost.
func (cs *channelState) lostSendsTo(to peerID) bool {
	for id := range cs.mine() {
		if op := cs.op(id); op.phase == offered && op.offer.resumed && op.offer.via == 0 && op.offer.to == to {
			return true
		}
	}
	return false
}

// resume offers again what was lost on its way to a peer. If the peer has been
// started anew, it cannot know; nor does anybody if it is not found.
func (cs *channelState) resume(to peerID) {
	var s linkID
	if cs.mayDial(cs.me, to) {
		s = cs.dial(cs.me, to)
	}
	for id := range cs.mine() {
		op := cs.op(id)
		if op.phase != offered || !op.offer.resumed || op.offer.via != 0 || op.offer.to != to {
			continue
		}
		if s != 0 && op.offer.incarnation == cs.end(s, cs.me).incarnation {
			op.offer.via = s
			cs.sendOffer(id)
		} else {
			cs.endInDoubt(id)
		}
	}
}

// endInDoubt ends an offered send whose outcome will not be heard.
func (cs *channelState) endInDoubt(id opID) {
	cs.checkDoubt(id)
	cs.reportGone(id)
	cs.finish(id, inDoubt)
}

// reportGone lets the home have the receive back that it set aside.
func (cs *channelState) reportGone(id opID) {
	if o := cs.op(id).offer; o.matcher != 0 {
		cs.put(o.matcher, frame{kind: matchResult, send: id, receive: o.receive, outcome: gone})
	}
}
