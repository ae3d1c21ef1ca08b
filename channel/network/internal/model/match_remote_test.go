package model

// redirect answers a request that only the home can serve.
func (m *member) redirect(s linkID, t *tie, f frame) {
	m.greet(s, t)
	if f.kind == send && (f.value || f.again) {
		m.put(s, frame{kind: queued, send: f.send, at: f.at})
	}
}

// note makes room for an operation of another peer.
func (m *member) note(s linkID, id opID) { m.forget(s, id) }

// forget drops an operation of another peer.
func (m *member) forget(s linkID, id opID) {
	st := m.state()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		if i := e.index(s, id); i >= 0 {
			e.remove(i)
		}
	}
}

// onWithdraw: the operation does not wait any more.
func (m *member) onWithdraw(s linkID, t *tie, id opID) {
	st := m.state()
	i := st.sends.index(s, id)
	if i >= 0 && st.sends.list[i].held {
		m.put(s, frame{kind: queued, send: id, at: st.sends.list[i].at})
	}
	m.forget(s, id)
	if t.blocked == id {
		t.blocked = 0
	} else if i < 0 || !m.p.want(id).lane {
		return
	}
	m.rematch()
}

// dissolve drops what the home knows of the operations of s.
func (m *member) dissolve(s linkID, t *tie) {
	st := m.state()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		for i := int(e.n) - 1; i >= 0; i-- {
			if x := e.list[i]; x.link == s {
				e.remove(i)
				if x.held {
					m.put(s, frame{kind: queued, send: x.id, at: x.at})
				}
			}
		}
	}
	if t != nil {
		t.joins, t.blocked = false, 0
	}
	for i := st.pairs.next(s); i >= 0; i = st.pairs.next(s) {
		m.restoreReceive(st.pairs.remove(i))
	}
}
