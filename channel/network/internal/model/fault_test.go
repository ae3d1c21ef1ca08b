package model

import "fmt"

// faultSteps adds the faults of the plan that may come.
func (p *plan) faultSteps(w *world, add func(action, int, int, int)) {
	strike := func(f fault, a, b int) {
		if p.has(f) {
			add(strikes, a, b, int(f))
		}
	}
	for s := range w.links {
		x := &w.links[s]
		if x.broken || !x.ends[0].open || !x.ends[1].open {
			continue
		}
		strike(breaks, s+1, 0)
		strike(lateEnd, s+1, 0)
	}
	for n := 1; n <= p.peers; n++ {
		q := peerID(n)
		if !w.node(q).up {
			continue
		}
		if p.befalls(q) {
			strike(crashes, n, 0)
			strike(reboots, n, 0)
			if p.peers > 2 {
				strike(islands, n, 0)
			}
		}
		for o := n + 1; o <= p.peers; o++ {
			if w.cuts[between(q, peerID(o))] == connected {
				strike(cuts, n, o)
			}
			l := linksOf(q, peerID(o))
			if x := &w.links[l[0]-1]; x.ends[0].open && x.ends[1].open && w.reachable(q, peerID(o)) && w.room(q, peerID(o)) != 0 {
				strike(doubles, n, o)
			}
		}
		for c := range p.channels {
			cs := p.at(w, q, channel(c))
			st := cs.fields()
			if !st.opened || st.left {
				continue
			}
			if p.befalls(q) {
				strike(leaves, n, c)
			}
			strike(reminds, n, c)
			for s, att := range cs.attachments() {
				if att.joined && cs.isHome() {
					strike(drifts, n, int(s.other(q))|c<<4)
				}
			}
		}
	}
	for i, x := range p.ops {
		op := &w.ops[i]
		switch {
		case op.lost || !p.has(cancels):
		case x.choice != 0:
			if c := &w.choices[x.choice-1]; i == p.firstOf(x.choice) && c.state != decided && !c.ended {
				strike(cancels, i+1, 0)
			}
		case (op.phase == waiting || op.phase == offered) && !op.abandoned:
			strike(cancels, i+1, 0)
		}
	}
}

func (p *plan) firstOf(c choiceID) int {
	for i, x := range p.ops {
		if x.choice == c {
			return i
		}
	}
	return -1
}

// strike lets a fault happen.
func (p *plan) strike(w *world, s step) {
	n := peerID(s.a)
	switch fault(s.c) {
	case breaks:
		w.breakLink(linkID(s.a), false)
	case lateEnd:
		w.breakLink(linkID(s.a), true)
	case crashes:
		p.crash(w, n)
	case reboots:
		w.node(n).restart = true
		p.crash(w, n)
	case cuts:
		w.cut(n, peerID(s.b))
	case islands:
		for o := peerID(1); int(o) <= p.peers; o++ {
			if o != n {
				w.cut(n, o)
			}
		}
	case cancels:
		p.cancel(w, opID(s.a))
	case leaves:
		p.at(w, n, channel(s.b)).leave()
	case drifts:
		cs := p.at(w, n, channel(s.b>>4))
		cs.adoptClaim(claim{cs.fields().claim.term + 1, peerID(s.b & 15)})
	case doubles:
		w.connect(n, peerID(s.b))
	case reminds:
		p.at(w, n, channel(s.b)).remindHome()
	}
}

func (w *world) cut(a, b peerID) {
	if w.cuts[between(a, b)] != connected {
		return
	}
	w.cuts[between(a, b)] = apart
	for _, s := range linksOf(a, b) {
		if x := &w.links[s-1]; x.ends[0].open || x.ends[1].open {
			w.breakLink(s, false)
		}
	}
}

// cancel ends the context of an operation, of its select, or of all of its pipeline
// from then on, the last first.
func (p *plan) cancel(w *world, id opID) {
	x := p.want(id)
	cs := p.at(w, x.peer, x.ch)
	switch {
	case x.choice != 0:
		p.end(w, x.choice)
	case x.ordered:
		for i := len(p.ops); i >= int(id); i-- {
			switch o, op := p.want(opID(i)), &w.ops[i-1]; {
			case o.peer != x.peer || o.ch != x.ch || !o.ordered:
			case op.phase == idle:
				op.phase, op.result = over, cancelled
			default:
				cs.withdraw(opID(i))
			}
		}
	default:
		cs.withdraw(id)
	}
}

func (p *plan) describeFault(s step) string {
	switch fault(s.c) {
	case breaks:
		return fmt.Sprintf("link %d breaks", s.a)
	case lateEnd:
		return fmt.Sprintf("link %d breaks, and what is on its way may still arrive", s.a)
	case crashes:
		return fmt.Sprintf("%d crashes for good", s.a)
	case reboots:
		return fmt.Sprintf("%d crashes, to come again", s.a)
	case cuts:
		return fmt.Sprintf("%d and %d are parted", s.a, s.b)
	case islands:
		return fmt.Sprintf("%d is parted from everybody", s.a)
	case cancels:
		return fmt.Sprintf("the context of %s ends", p.nameOf(opID(s.a)))
	case leaves:
		return fmt.Sprintf("%d leaves", s.a)
	case drifts:
		return fmt.Sprintf("home %d moves to %d", s.a, s.b&15)
	case doubles:
		return fmt.Sprintf("%d and %d have a second session", s.a, s.b)
	case reminds:
		return fmt.Sprintf("%d tells its home again what waits", s.a)
	}
	return "?"
}
