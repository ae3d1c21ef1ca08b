package model

import "fmt"

// An action is what may happen next. Which of those that may, is not said: what
// lasts long in one world is over at once in another.
type action uint8

const (
	gets     action = iota // peer a reads the next frame of link b
	learns                 // peer a notices that link b has ended
	starts                 // operation a begins
	looks                  // the select of operation a comes to it
	opens                  // peer a opens channel b
	elects                 // peer a finds no home of channel b, and becomes it
	meets                  // peer a finds the home c of channel b
	rejoins                // peer a dials the home of channel b
	succeeds               // peer a takes the place of the home of channel b
	resumes                // peer a seeks c, which was taking values of channel b
	dials                  // the dialling for operation a ends
	lapses                 // home a has held values of channel b for long enough
	despairs               // the grace period of operation a ends
	heals                  // peers a and b reach each other again
	wakes                  // peer a is started again
	strikes                // fault c befalls a and b
)

// A step is an action with what it is about.
type step struct {
	do      action
	a, b, c uint8
}

// steps returns all that may happen in w.
func (p *plan) steps(w *world) []step { return p.appendSteps(nil, w) }

func (p *plan) appendSteps(all []step, w *world) []step {
	add := func(do action, a, b, c int) { all = append(all, step{do, uint8(a), uint8(b), uint8(c)}) }
	for s := 1; s <= maxLinks; s++ {
		for side, n := range linkID(s).ends() {
			e := &w.links[s-1].ends[side]
			if e.open && e.in.n > 0 {
				add(gets, int(n), s, 0)
			}
			if e.open && w.links[s-1].broken {
				add(learns, int(n), s, 0)
			}
		}
	}
	for i := range p.ops {
		p.opSteps(w, opID(i+1), add)
	}
	for n := 1; n <= p.peers; n++ {
		x := w.node(peerID(n))
		if !x.up && x.restart {
			add(wakes, n, 0, 0)
		}
		for c := 0; x.up && c < p.channels; c++ {
			p.at(w, peerID(n), channel(c)).steps(add)
		}
	}
	for _, c := range w.cuts {
		if c == apart {
			add(heals, 0, 0, 0)
			break
		}
	}
	if w.faults > 0 {
		p.faultSteps(w, add)
	}
	return all
}

func (p *plan) opSteps(w *world, id opID, add func(action, int, int, int)) {
	x, op := p.want(id), &w.ops[id-1]
	cs := p.at(w, x.peer, x.ch)
	st, c := cs.fields(), cs.choiceOf(id)
	switch {
	case op.lost:
	case op.phase == idle:
		if p.mayStart(w, id) && st.opened && !st.left && (c == nil || c.state != decided && !c.stops) {
			add(starts, int(id), 0, 0)
		}
	case op.phase == offered && op.offer.via == 0 && !op.offer.resumed:
		if cs.mayDial(cs.me, op.offer.to) || !cs.reachable(cs.me, op.offer.to) {
			add(dials, int(id), 0, 0)
		}
	case op.phase == offered && (op.abandoned || c != nil && c.ended):
		if op.offer.via == 0 || cs.links[op.offer.via-1].broken {
			add(despairs, int(id), 0, 0)
		}
	}
	if c != nil && c.todo&(1<<(id-1)) != 0 {
		add(looks, int(id), 0, 0)
	}
}

// mayStart reports whether all that comes before an operation has begun, or is
// over if it is of the same tasklet.
func (p *plan) mayStart(w *world, id opID) bool {
	x := p.want(id)
	if x.after != 0 && w.ops[x.after-1].phase != over {
		return false
	}
	for i := range int(id - 1) {
		if o := &p.ops[i]; o.peer == x.peer && o.ch == x.ch && o.receive == x.receive && w.ops[i].phase == idle {
			return false
		}
	}
	return true
}

func (cs *channelState) steps(add func(action, int, int, int)) {
	st, n, c := cs.fields(), int(cs.me), int(cs.ch)
	if !st.opened {
		add(opens, n, c, 0)
		return
	}
	if st.gone {
		return
	}
	if st.claim.home == 0 {
		add(elects, n, c, 0)
	} else if !cs.isHome() && st.home == 0 {
		switch h := st.claim.home; {
		case cs.mayDial(cs.me, h):
			add(rejoins, n, c, 0)
		case !cs.reachable(cs.me, h):
			add(succeeds, n, c, 0)
		}
	}
	for o := 1; o <= cs.p.peers; o++ {
		if o == n {
			continue
		}
		q := peerID(o)
		far := cs.node(q)
		if st.claim.home == 0 || cs.isHome() && cs.p.defect != successorsOnly {
			if far.up && far.channels[c].claim.home == q && cs.mayDial(cs.me, q) {
				if att := cs.attached(cs.to(cs.me, q)); att == nil || !att.helloSent || att.helloClaim != st.claim {
					add(meets, n, c, o)
				}
			}
		}
		if cs.lostSendsTo(q) && (cs.mayDial(cs.me, q) || !cs.reachable(cs.me, q)) {
			add(resumes, n, c, o)
		}
	}
	for i := range st.sends.n {
		if st.sends.list[i].parked {
			add(lapses, n, c, 0)
			break
		}
	}
}

// apply makes a step.
func (p *plan) apply(w *world, s step) {
	n := peerID(s.a)
	switch s.do {
	case gets:
		p.get(w, linkID(s.b), n)
	case learns:
		p.learn(w, linkID(s.b), n)
	case opens:
		p.at(w, n, channel(s.b)).fields().opened = true
	case elects:
		p.at(w, n, channel(s.b)).adoptClaim(claim{1, n})
	case meets:
		p.at(w, n, channel(s.b)).exchangeHello(peerID(s.c))
	case rejoins:
		p.at(w, n, channel(s.b)).seekHome()
	case succeeds:
		p.at(w, n, channel(s.b)).takeOver()
	case resumes:
		p.at(w, n, channel(s.b)).resume(peerID(s.c))
	case lapses:
		p.at(w, n, channel(s.b)).unparkExpired()
	case heals:
		for i, c := range w.cuts {
			if c == apart {
				w.cuts[i] = connected
			}
		}
	case wakes:
		w.node(n).up, w.node(n).restart = true, false
		w.node(n).incarnation++
	case strikes:
		w.faults--
		p.strike(w, s)
	default:
		cs := p.at(w, p.want(opID(s.a)).peer, p.want(opID(s.a)).ch)
		switch s.do {
		case starts:
			cs.start(opID(s.a))
		case looks:
			cs.look(opID(s.a))
		case dials:
			cs.dialled(opID(s.a))
		case despairs:
			cs.endInDoubt(opID(s.a))
		}
	}
	for n := peerID(1); int(n) <= p.peers; n++ {
		for c := range p.channels {
			cs := p.at(w, n, channel(c))
			if st := cs.fields(); st.left && !st.gone && !cs.inFlight() {
				cs.leaveAll()
			}
		}
	}
	p.tidy(w)
	p.check(w)
}

// describe says what a step is that may happen in w.
func (p *plan) describe(w *world, s step) string {
	switch s.do {
	case gets:
		return fmt.Sprintf("%d reads on link %d from %d: %v", s.a, s.b, linkID(s.b).other(peerID(s.a)), w.end(linkID(s.b), peerID(s.a)).in.list[0])
	case learns:
		return fmt.Sprintf("%d learns that link %d to %d has ended", s.a, s.b, linkID(s.b).other(peerID(s.a)))
	case starts:
		return fmt.Sprintf("%d begins %s", p.want(opID(s.a)).peer, p.nameOf(opID(s.a)))
	case looks:
		return fmt.Sprintf("%d looks at alternative %s again", p.want(opID(s.a)).peer, p.nameOf(opID(s.a)))
	case opens:
		return fmt.Sprintf("%d opens the channel", s.a)
	case elects:
		return fmt.Sprintf("%d has found no home, and becomes it", s.a)
	case meets:
		return fmt.Sprintf("%d finds home %d, and says hello", s.a, s.c)
	case rejoins:
		return fmt.Sprintf("%d dials its home, and joins", s.a)
	case succeeds:
		return fmt.Sprintf("%d cannot reach its home, and takes its place", s.a)
	case resumes:
		return fmt.Sprintf("%d seeks %d, which was lost while it took a value", s.a, s.c)
	case dials:
		return fmt.Sprintf("%d has dialled for %s", p.want(opID(s.a)).peer, p.nameOf(opID(s.a)))
	case lapses:
		return fmt.Sprintf("%d, home, holds values no longer", s.a)
	case despairs:
		return fmt.Sprintf("%d waits no longer for the outcome of %s", p.want(opID(s.a)).peer, p.nameOf(opID(s.a)))
	case heals:
		return "the partition heals"
	case wakes:
		return fmt.Sprintf("%d is started again", s.a)
	}
	return "FAULT: " + p.describeFault(s)
}

func (p *plan) nameOf(id opID) string {
	if p.want(id).receive {
		return fmt.Sprintf("receive %d", id)
	}
	return fmt.Sprintf("send %d", id)
}

func (f frame) String() string {
	name := [...]string{"", "hello", "unknown", "leave", "send", "queued", "receive", "withdraw", "match", "match result", "deliver", "accept", "refuse", "relay lost"}[f.kind]
	if f.ch > 0 {
		name += fmt.Sprintf(" (channel %d)", f.ch)
	}
	if f.kind == hello {
		return fmt.Sprintf("%s, home %d by claim %d", name, f.claim.home, f.claim.term)
	}
	if f.send != 0 {
		name += fmt.Sprintf(" send %d", f.send)
	}
	if f.receive != 0 {
		name += fmt.Sprintf(" receive %d", f.receive)
	}
	if f.peer != 0 {
		name += fmt.Sprintf(" peer %d", f.peer)
	}
	if f.outcome != 0 {
		name += [...]string{"", " accepted", " refused", " gone"}[f.outcome]
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{f.value, " with value"}, {f.resumed, " again"}, {f.relay, " to pass on"}} {
		if flag.on {
			name += flag.name
		}
	}
	return name
}
