package model

// onLost: a session has ended, and what its peer heard or said last is not known.
func (cs *channelState) onLost(s linkID) {
	cs.dissolve(s, nil)
	cs.giveUpPassed(s, true)
	for id := range cs.mine() {
		op := cs.op(id)
		if op.phase == offered && op.offer.via == s {
			cs.lose(id)
		}
		if op.kept.from == s {
			op.kept = kept{} // it is offered again
		}
	}
	if st := cs.fields(); st.home == s {
		st.home = 0
		cs.unregisterAll()
	}
}

// lose begins to ask the peer that was taking a value whether it did.
func (cs *channelState) lose(id opID) {
	op := cs.op(id)
	if cs.p.defect == retriesInDoubt {
		cs.reoffer(id)
		return
	}
	op.offer.via, op.offer.again = 0, true
}

// lostTo reports whether a peer was taking sends when its session was lost.
func (cs *channelState) lostTo(to peerID) bool {
	for id := range cs.mine() {
		if op := cs.op(id); op.phase == offered && op.offer.again && op.offer.via == 0 && op.offer.to == to {
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
		if op.phase != offered || !op.offer.again || op.offer.via != 0 || op.offer.to != to {
			continue
		}
		if s != 0 && op.offer.incarnation == cs.end(s, cs.me).incarnation {
			op.offer.via = s
			cs.transmit(id)
		} else {
			cs.doubt(id)
		}
	}
}

// doubt ends an offered send whose outcome will not be heard.
func (cs *channelState) doubt(id opID) {
	cs.checkDoubt(id)
	cs.settleGone(id)
	cs.finish(id, inDoubt)
}

// settleGone lets the home have the receive back that it set aside.
func (cs *channelState) settleGone(id opID) {
	if o := cs.op(id).offer; o.matcher != 0 {
		cs.put(o.matcher, frame{kind: settle, send: id, receive: o.receive, outcome: gone})
	}
}
