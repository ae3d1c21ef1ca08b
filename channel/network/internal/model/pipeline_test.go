package model

// The lane of a peer on a channel are the sends of which many are under way at
// once, in their order.

// lane returns those that have begun and are not over.
func (cs *channelState) lane() []opID {
	var all []opID
	for id := range cs.mine() {
		if op := cs.op(id); cs.p.want(id).lane && (op.phase == waiting || op.phase == offered) {
			all = append(all, id)
		}
	}
	return all
}

// index returns the place of a send in the lane.
func (cs *channelState) index(id opID) int {
	for i, o := range cs.lane() {
		if o == id {
			return i
		}
	}
	return -1
}

// turn reports whether a send may be received now, because all before it were.
func (cs *channelState) turn(id opID) bool {
	return !cs.p.want(id).lane || cs.index(id) == 0
}

// advance finds receives for the sends whose turn has come, and tells the home
// of those behind.
func (cs *channelState) advance() {
	st := cs.fields()
	if st.advancing {
		return
	}
	st.advancing = true
	for {
		l := cs.lane()
		if len(l) == 0 {
			st.advancing = false
			return
		}
		if cs.op(l[0]).phase != waiting || !cs.place(l[0]) {
			break
		}
	}
	cs.pump()
	st.advancing = false
}

// pump tells the home of the sends of the lane that it may know.
func (cs *channelState) pump() {
	st := cs.fields()
	for st.home != 0 {
		l := cs.lane()
		if int(st.known) >= len(l) {
			return
		}
		id := l[st.known]
		if op := cs.op(id); op.phase == offered {
			if (!cs.with(id, st.home) || op.term != st.claim.term || op.offer.asks) && cs.p.defect != exposesAll {
				return // on its way elsewhere
			}
			st.known++
			continue
		}
		if x := cs.p.want(id); st.known > 0 && (x.big || x.choice != 0) {
			return
		}
		st.known++
		cs.register(id)
	}
}

// with reports whether the value is with the home, which has not answered.
func (cs *channelState) with(id opID, s linkID) bool {
	op := cs.op(id)
	return op.phase == offered && op.offer.open && op.offer.via == s
}
