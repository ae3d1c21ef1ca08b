package model

// onSend: the peer of s has a send that waits.
func (cs *channelState) onSend(s linkID, att *attachment, f frame) {
	st := cs.fields()
	if f.resumed && cs.wasAccepted(s.other(cs.me), f.send) {
		cs.put(s, frame{kind: accept, send: f.send})
		return
	}
	if !cs.isHome() {
		cs.redirect(s, att, f)
		return
	}
	// Its owner only asks; or it was asked of this peer when it was home before,
	// and what comes before it in its pipeline may since have been given back.
	if f.resumed && !f.value || cs.p.want(f.send).ordered && f.term != st.claim.term && cs.p.defect != takesOldPipeline {
		cs.put(s, frame{kind: queued, send: f.send, attempt: f.attempt})
		return
	}
	// Its owner asks again: nothing comes of an earlier match.
	if i := st.pairs.index(s, f.send); i >= 0 {
		cs.returnReceive(st.pairs.remove(i))
	}
	if att.blocked == f.send {
		att.blocked = 0
	}
	ordered := cs.p.want(f.send).ordered
	turn := !ordered || att.blocked == 0 && !cs.pipelined(s)
	if turn && f.value {
		if r := cs.receiveFor(0); r != 0 {
			cs.deliverLocal(f.send, r)
			cs.put(s, frame{kind: accept, send: f.send})
			return
		}
	}
	cs.registerRemote(s, f.send)
	x := entry{link: s, id: f.send, parked: f.value, attempt: f.attempt}
	if ordered {
		st.sends.restore(x)
	} else {
		st.sends.push(x)
	}
	if turn {
		cs.match(x)
	} else if cs.p.defect != leavesUnmatched {
		cs.rematch()
	}
}

// pipelined reports whether sends of the pipeline of s are in the queue.
func (cs *channelState) pipelined(s linkID) bool {
	st := cs.fields()
	for i := range st.sends.n {
		if x := st.sends.list[i]; x.link == s && cs.p.want(x.id).ordered {
			return true
		}
	}
	return false
}

// match finds a receive for a send of another peer whose turn it is.
func (cs *channelState) match(x entry) bool {
	if x.parked {
		if r := cs.receiveFor(0); r != 0 {
			cs.takeParked(x, r)
			return true
		}
	}
	st := cs.fields()
	for i := range st.receives.n {
		if r := st.receives.list[i]; !cs.same(r.link, x.link) {
			cs.pairUp(x, r.link, r.id)
			return true
		}
	}
	for r := range cs.mine() {
		if cs.p.want(r).receive && cs.op(r).phase == waiting && cs.free(r) {
			cs.pairUp(x, 0, r)
			return true
		}
	}
	return false
}

// free reports whether a receive of the home's own may be set aside for a send.
func (cs *channelState) free(r opID) bool {
	c := cs.choiceOf(r)
	return !cs.op(r).promised && (c == nil || c.state == open)
}

// rematch finds receives for the sends of other peers whose turn has come.
func (cs *channelState) rematch() {
	st := cs.fields()
	for i := 0; i < int(st.sends.n); {
		if x := st.sends.list[i]; cs.mayMatch(x) && cs.match(x) {
			i = 0
		} else {
			i++
		}
	}
}

// mayMatch reports whether nothing that is on its way elsewhere, or waits here,
// comes before x.
func (cs *channelState) mayMatch(x entry) bool {
	if !cs.p.want(x.id).ordered {
		return true
	}
	st := cs.fields()
	for i := range st.sends.n {
		if o := st.sends.list[i]; o.link == x.link && cs.p.want(o.id).ordered && cs.p.defect != skipsAhead {
			return o.id == x.id && cs.attached(x.link).blocked == 0
		}
	}
	return cs.attached(x.link).blocked == 0
}

// remoteSend returns the place of the first send of another peer whose turn it
// is, and which is not except's, or -1.
func (cs *channelState) remoteSend(except linkID) int {
	st := cs.fields()
	for i := range st.sends.n {
		if x := st.sends.list[i]; !cs.same(x.link, except) && cs.mayMatch(x) {
			return int(i)
		}
	}
	return -1
}

// same reports whether two sessions are to the same peer.
func (cs *channelState) same(a, b linkID) bool {
	if a == b || cs.p.defect == matchesOneself || a == 0 || b == 0 {
		return a == b
	}
	return a.other(cs.me) == b.other(cs.me)
}

// unparkExpired is when the home gives back the values for which no receive came.
func (cs *channelState) unparkExpired() {
	st := cs.fields()
	for i := range st.sends.n {
		if x := &st.sends.list[i]; x.parked {
			x.parked = false
			cs.put(x.link, frame{kind: queued, send: x.id, attempt: x.attempt})
		}
	}
}

// takeParked gives a value that is kept here to a receive of this peer.
func (cs *channelState) takeParked(x entry, r opID) {
	cs.forgetRemote(x.link, x.id)
	cs.put(x.link, frame{kind: accept, send: x.id})
	cs.deliverLocal(x.id, r)
}

// onReceive: the peer of s has a receive that waits.
func (cs *channelState) onReceive(s linkID, f frame) {
	if !cs.isHome() {
		cs.redirect(s, cs.attached(s), f)
		return
	}
	cs.registerRemote(s, f.receive)
	cs.matchReceive(s, f.receive)
}

// matchReceive finds a send for a remote receive, or queues it.
func (cs *channelState) matchReceive(s linkID, id opID) {
	st := cs.fields()
	for o := range cs.mine() {
		if cs.p.want(o).receive || cs.op(o).phase != waiting || !cs.isNext(o) || !cs.reserve(o) {
			continue
		}
		cs.forgetRemote(s, id)
		cs.offer(o, cs.directOffer(entry{link: s, id: id}))
		return
	}
	if i := cs.remoteSend(s); i >= 0 {
		cs.pairUp(st.sends.list[i], s, id)
		return
	}
	if st.receives.index(s, id) >= 0 {
		cs.fault(queuedTwice)
		return
	}
	if i := st.aside.index(s, id); i >= 0 {
		st.aside.remove(i)
	}
	st.receives.restore(entry{link: s, id: id})
}
