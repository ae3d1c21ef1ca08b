package model

// The lane of a peer on a channel are the sends of which many are under way at
// once, in their order.

// lane returns those that have begun and are not over.
func (m *member) lane() []opID {
	var all []opID
	for id := range m.mine() {
		if op := m.op(id); m.p.want(id).lane && (op.phase == waiting || op.phase == offered) {
			all = append(all, id)
		}
	}
	return all
}

// index returns the place of a send in the lane.
func (m *member) index(id opID) int {
	for i, o := range m.lane() {
		if o == id {
			return i
		}
	}
	return -1
}

// turn reports whether a send may be received now, because all before it were.
func (m *member) turn(id opID) bool {
	return !m.p.want(id).lane || m.index(id) == 0
}

// advance finds receives for the sends whose turn has come, and tells the home
// of those behind.
func (m *member) advance() {
	st := m.state()
	if st.advancing {
		return
	}
	st.advancing = true
	for {
		l := m.lane()
		if len(l) == 0 {
			st.advancing = false
			return
		}
		if m.op(l[0]).phase != waiting || !m.place(l[0]) {
			break
		}
	}
	m.pump()
	st.advancing = false
}

// pump tells the home of the sends of the lane that it may know.
func (m *member) pump() {
	st := m.state()
	for st.home != 0 {
		l := m.lane()
		if int(st.known) >= len(l) {
			return
		}
		id := l[st.known]
		if op := m.op(id); op.phase == offered {
			if (!m.with(id, st.home) || op.under != st.claim.generation || op.offer.asks) && m.p.defect != exposesAll {
				return // on its way elsewhere
			}
			st.known++
			continue
		}
		if x := m.p.want(id); st.known > 0 && (x.big || x.choice != 0) {
			return
		}
		st.known++
		m.register(id)
	}
}

// with reports whether the value is with the home, which has not answered.
func (m *member) with(id opID, s linkID) bool {
	op := m.op(id)
	return op.phase == offered && op.offer.open && op.offer.via == s
}
