package model

// commit decides the choices that a and b are alternatives of. It reports false,
// and changes nothing, if one of them is not open. b may be 0.
func (m *member) commit(a, b opID) bool {
	c := m.choiceOf(a)
	var d *choice
	if b != 0 {
		d = m.choiceOf(b)
	}
	if c != nil && c == d || c != nil && c.state != open || d != nil && d.state != open {
		return false
	}
	if c != nil {
		c.state, c.op = decided, a
	}
	if d != nil {
		d.state, d.op = decided, b
	}
	return true
}

// reserve makes the choice of a send tentative, if it has one. It reports false
// if that is not open.
func (m *member) reserve(id opID) bool {
	c := m.choiceOf(id)
	if c == nil {
		return true
	}
	if c.state != open {
		return false
	}
	c.state, c.op = tentative, id
	return true
}

// release opens the choice again after nothing came of the tentative send.
func (m *member) release(id opID) {
	c := m.choiceOf(id)
	c.state, c.op = open, 0
	if c.ended {
		c.state = decided
	}
	m.poke(m.p.want(id).choice)
}

// concluded is called when an alternative has come to an end by itself.
func (m *member) concluded(id opID) {
	c := m.choiceOf(id)
	if c == nil {
		return
	}
	if c.state == open || c.state == tentative && c.op == id {
		c.state, c.op = decided, id
	}
	m.poke(m.p.want(id).choice)
}

// poke has the select look at all its alternatives that have begun.
func (m *member) poke(n choiceID) {
	c := &m.choices[n-1]
	c.todo = 0
	for i := range m.p.ops {
		if m.p.ops[i].choice == n && (m.ops[i].phase == waiting || m.ops[i].phase == offered) {
			c.todo |= 1 << i
		}
	}
}

// look is when the select comes to an alternative: to try it again, or to
// withdraw it when another was chosen.
func (m *member) look(id opID) {
	op, c := m.op(id), m.choiceOf(id)
	c.todo &^= 1 << (id - 1)
	switch {
	case op.phase == over:
	case c.state == decided:
		if c.op != id {
			m.finish(id, cancelled)
		}
	case op.phase == offered || c.state != open:
	case op.kept.send != 0:
		k := op.kept
		op.kept = kept{}
		m.commit(id, 0)
		m.take(k, id)
	default:
		m.submit(id)
	}
}

// end is when the context of a select ends.
func (p *plan) end(w *world, n choiceID) {
	c := &w.choices[n-1]
	var first *member
	for i := range p.ops {
		if p.ops[i].choice == n {
			first = p.at(w, p.ops[i].peer, p.ops[i].ch)
			if w.ops[i].phase == idle { // it is not begun any more
				w.ops[i].phase, w.ops[i].result = over, cancelled
			}
		}
	}
	c.ended = true
	switch c.state {
	case open:
		c.state = decided
		first.poke(n)
	case tentative:
		p.at(w, p.want(c.op).peer, p.want(c.op).ch).withdraw(c.op)
	}
}

// keeps reports whether a value that is offered to a receive of a tentative
// choice is kept back until that is decided, rather than refused. The offerer
// waits for that; if its own choice is tentative meanwhile, selects could wait
// for each other in a circle. So each keeps back only what comes from greater
// ones.
func (m *member) keeps(r opID, origin peerID, other choiceID) bool {
	c := m.choiceOf(r)
	switch {
	case c == nil || c.state != tentative:
		return false
	case other == 0 || m.p.defect == bothHold:
		return true
	case m.p.defect == bothRefuse:
		return false
	}
	return other > m.p.want(r).choice
}
