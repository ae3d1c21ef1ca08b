package model

// passBack passes on what the peer of s answers to a value that came by way of
// this peer, the home.
func (m *member) passBack(s linkID, f frame) {
	p := &m.state().passing
	for i := int(p.n) - 1; i >= 0; i-- {
		if x := p.list[i]; x.to == s && x.id == f.send && x.link.other(m.me) == f.peer {
			p.remove(i)
			m.answer(f.kind, x.link, f.send, s.other(m.me))
		}
	}
}

// onAstray: the home passed on a value, and has lost the peer that it was for.
func (m *member) onAstray(s linkID, f frame) {
	op := m.exposed(f.send)
	if op != nil && op.phase == offered && op.offer.via == s && op.offer.to == f.peer && f.peer != s.other(m.me) {
		m.lose(f.send)
	}
}

// giveUpPassed tells the owners of values that were passed on to s that it has
// gone: they are refused if it left.
func (m *member) giveUpPassed(s linkID, lost bool) {
	p := &m.state().passing
	for i := int(p.n) - 1; i >= 0; i-- {
		if x := p.list[i]; x.to == s {
			p.remove(i)
			what := refuse
			if lost {
				what = astray
			}
			if m.p.defect != forgetsPassed {
				m.answer(what, x.link, x.id, s.other(m.me))
			}
		}
	}
}
