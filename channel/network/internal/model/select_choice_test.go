package model

// commit decides the choices that a and b are alternatives of. It reports false,
// and changes nothing, if one of them is not open. b may be 0.
func (cs *channelState) commit(a, b opID) bool {
	c := cs.choiceOf(a)
	var d *choice
	if b != 0 {
		d = cs.choiceOf(b)
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
func (cs *channelState) reserve(id opID) bool {
	c := cs.choiceOf(id)
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
func (cs *channelState) release(id opID) {
	c := cs.choiceOf(id)
	c.state, c.op = open, 0
	if c.ended {
		c.state = decided
	}
	cs.signal(cs.p.want(id).choice)
}

// concluded is called when an alternative has come to an end by itself.
func (cs *channelState) concluded(id opID) {
	c := cs.choiceOf(id)
	if c == nil {
		return
	}
	if c.state == open || c.state == tentative && c.op == id {
		c.state, c.op = decided, id
	}
	cs.signal(cs.p.want(id).choice)
}

// signal has the select look at all its alternatives that have begun.
func (cs *channelState) signal(n choiceID) {
	c := &cs.choices[n-1]
	c.todo = 0
	for i := range cs.p.ops {
		if cs.p.ops[i].choice == n && (cs.ops[i].phase == waiting || cs.ops[i].phase == offered) {
			c.todo |= 1 << i
		}
	}
}

// look is when the select comes to an alternative: to try it again, or to
// withdraw it when another was chosen.
func (cs *channelState) look(id opID) {
	op, c := cs.op(id), cs.choiceOf(id)
	c.todo &^= 1 << (id - 1)
	switch {
	case op.phase == over:
	case c.state == decided:
		if c.op != id {
			cs.finish(id, cancelled)
		}
	case op.phase == offered || c.state != open:
	case op.deferred.send != 0:
		k := op.deferred
		op.deferred = deferredOffer{}
		cs.commit(id, 0)
		cs.deliverRemote(k, id)
	default:
		cs.submit(id)
	}
}

// end is when the context of a select ends.
func (p *plan) end(w *world, n choiceID) {
	c := &w.choices[n-1]
	var first *channelState
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
		first.signal(n)
	case tentative:
		p.at(w, p.want(c.op).peer, p.want(c.op).ch).withdraw(c.op)
	}
}

// defers reports whether a value that is offered to a receive of a tentative
// choice is kept back until that is decided, rather than refused. The offerer
// waits for that; if its own choice is tentative meanwhile, selects could wait
// for each other in a circle. So each defers only what comes from greater
// ones.
func (cs *channelState) defers(r opID, origin peerID, other choiceID) bool {
	c := cs.choiceOf(r)
	switch {
	case c == nil || c.state != tentative:
		return false
	case other == 0 || cs.p.defect == bothHold:
		return true
	case cs.p.defect == bothRefuse:
		return false
	}
	return other > cs.p.want(r).choice
}
