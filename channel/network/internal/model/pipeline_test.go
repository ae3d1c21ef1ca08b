package model

// The pipeline of a peer on a channel are the sends of which many are under way at
// once, in their order.

// pipeline returns those that have begun and are not over.
func (cs *channelState) pipeline() []opID {
	var all []opID
	for id := range cs.mine() {
		if op := cs.op(id); cs.p.want(id).ordered && (op.phase == waiting || op.phase == offered) {
			all = append(all, id)
		}
	}
	return all
}

// index returns the place of a send in the pipeline.
func (cs *channelState) index(id opID) int {
	for i, o := range cs.pipeline() {
		if o == id {
			return i
		}
	}
	return -1
}

// isNext reports whether a send may be received now, because all before it were.
func (cs *channelState) isNext(id opID) bool {
	return !cs.p.want(id).ordered || cs.index(id) == 0
}

// advancePipeline finds receives for the sends whose turn has come, and tells the home
// of those behind.
func (cs *channelState) advancePipeline() {
	st := cs.fields()
	if st.advancing {
		return
	}
	st.advancing = true
	for {
		l := cs.pipeline()
		if len(l) == 0 {
			st.advancing = false
			return
		}
		if cs.op(l[0]).phase != waiting || !cs.matchSend(l[0]) {
			break
		}
	}
	cs.registerPipeline()
	st.advancing = false
}

// registerPipeline tells the home of the sends of the pipeline that it may know.
func (cs *channelState) registerPipeline() {
	st := cs.fields()
	for st.home != 0 {
		l := cs.pipeline()
		if int(st.registered) >= len(l) {
			return
		}
		id := l[st.registered]
		if op := cs.op(id); op.phase == offered {
			if (!cs.isAtHome(id, st.home) || op.term != st.claim.term || op.offer.asksOnly) && cs.p.defect != exposesAll {
				return // on its way elsewhere
			}
			st.registered++
			continue
		}
		if x := cs.p.want(id); st.registered > 0 && (x.big || x.choice != 0) {
			return
		}
		st.registered++
		cs.register(id)
	}
}

// isAtHome reports whether the value is with the home, which has not answered.
func (cs *channelState) isAtHome(id opID, s linkID) bool {
	op := cs.op(id)
	return op.phase == offered && op.offer.anyReceive && op.offer.via == s
}
