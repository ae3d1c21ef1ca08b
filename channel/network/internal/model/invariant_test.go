package model

// A flaw is a promise of the design that a world breaks.
type flaw uint8

const (
	fine flaw = iota

	// The rules of the design.
	receivedTwice   // rule 2: nothing is ever received twice
	notReceived     // rule 1: a send that returned nil was received
	receivedAnyway  // rule 2: one that returned another error never was
	doubtWithout    // rule 2: in doubt only when the taker was lost in the act
	outOfOrder      // rule 3: one tasklet's values, as one receiver sees them
	acceptedTwice   // a receive accepts one value
	offeredTwice    // a send is offered to one receive at a time
	notOffered      // a value is under way that its owner takes for free, or withdrawn
	worseClaim      // a peer only ever changes to a better claim
	endlessElection // claims settle
	chosenTwice     // one alternative of a select is done

	// What the home's books must hold.
	queuedTwice

	// When nothing more happens.
	stuck       // a send's outcome is awaited, and nobody will tell
	passedBy    // a send and a receive that could meet wait
	noHome      // somebody has joined nobody
	manyHomes   // not all agree on who is home
	undecided   // a select is tentative
	goesOn      // there is a way on which something happens forever
	neverSettle // no way leads to a world in which nothing more happens

	tooMuch // the model is too small
)

func (f flaw) String() string {
	return [...]string{
		"nothing", "a value was received twice", "a send returned nil whose value was not received",
		"a send returned an error whose value was received", "a send is in doubt, and no taker was lost",
		"values of one tasklet arrived out of order", "a receive accepted two values",
		"a send was offered to two at once", "a value is under way that its owner did not offer",
		"a peer changed to a worse claim", "the election does not end", "two alternatives of a select were done",
		"a receive is in the home's queue twice", "nobody will tell the outcome of a send",
		"a send and a receive wait for each other forever", "a peer has no home", "peers have different homes",
		"a select stays tentative", "the peers may go on for ever", "the peers never come to rest", "more frames are on their way than the model has room for",
	}[f]
}

func (w *world) fault(f flaw) {
	if w.flaw == fine {
		w.flaw = f
	}
}

// accepts notes that the receive r has the value of a send.
func (cs *channelState) accepts(id, r opID) {
	s := cs.op(id)
	if s.received++; s.received > 1 {
		cs.fault(receivedTwice)
	}
	if s.result == cancelled {
		cs.fault(receivedAnyway)
	}
	if cs.op(r).got != 0 {
		cs.fault(acceptedTwice)
	}
	cs.op(r).got = id
	for i := range int(r - 1) {
		before := opID(i + 1)
		got := cs.op(before).got
		if got > id && cs.p.tasklet(before) == cs.p.tasklet(r) && cs.p.tasklet(got) == cs.p.tasklet(id) &&
			cs.op(got).result != inDoubt && s.result != inDoubt {
			cs.fault(outOfOrder)
		}
	}
}

// tasklet returns the first operation of the tasklet that an operation is of.
func (p *plan) tasklet(id opID) opID {
	for {
		x := p.want(id)
		switch {
		case x.after != 0:
			id = x.after
			continue
		case x.ordered:
			for i, o := range p.ops {
				if o.ordered && o.peer == x.peer && o.ch == x.ch {
					return opID(i + 1)
				}
			}
		}
		return id
	}
}

// checkResult looks whether what the owner was told is true.
func (cs *channelState) checkResult(id opID) {
	op := cs.op(id)
	had := op.received > 0
	if cs.p.want(id).receive {
		had = op.got != 0
	}
	switch {
	case op.result == done && !had:
		cs.fault(notReceived)
	case op.result == cancelled && had:
		cs.fault(receivedAnyway)
	}
	if c := cs.p.want(id).choice; c != 0 && (op.result == done || op.result == inDoubt) {
		for i := range cs.p.ops {
			if o := opID(i + 1); o != id && cs.p.ops[i].choice == c && (cs.op(o).result == done || cs.op(o).result == inDoubt) {
				cs.fault(chosenTwice)
			}
		}
	}
}

// checkDoubt looks whether the peer that was taking the value was lost, to its
// owner or to the home that passed it on.
func (cs *channelState) checkDoubt(id opID) {
	o := cs.op(id).offer
	if o.via != 0 && cs.links[o.via-1].broken {
		return // it is being lost
	}
	if losses := cs.node(cs.me).losses; losses&(1<<o.to) != 0 || losses&(1<<o.by) != 0 {
		return
	}
	if o.by != 0 && cs.node(o.by).losses&(1<<o.to) != 0 {
		return
	}
	cs.fault(doubtWithout)
}

// check looks at what must hold in every world.
func (p *plan) check(w *world) {
	if w.flaw != fine {
		return
	}
	var copies [maxOps]int // of each value, that somebody may take
	for s := range w.links {
		x := &w.links[s]
		for side, n := range linkID(s + 1).ends() {
			near, far := &x.ends[side], &x.ends[1-side]
			if !near.open || !far.open || x.broken {
				continue
			}
			for i := range near.in.n {
				f := &near.in.list[i]
				if f.value && f.kind != match && near.attachments[f.ch].numbered && !w.node(n).channels[f.ch].gone {
					copies[f.send-1]++
				}
			}
		}
	}
	for n := peerID(1); int(n) <= p.peers; n++ {
		for c := range p.channels {
			st := p.at(w, n, channel(c)).fields()
			for i := range st.sends.n {
				if e := st.sends.list[i]; e.parked && !w.links[e.link-1].broken {
					copies[e.id-1]++
				}
			}
		}
	}
	for i := range p.ops {
		if k := w.ops[i].deferred; k.send != 0 && !w.links[k.from-1].broken {
			copies[k.send-1]++
		}
	}
	for i, n := range copies {
		if n > 1 {
			w.fault(offeredTwice)
		}
		if op := &w.ops[i]; n > 0 && op.phase != offered && !op.lost && op.result != inDoubt {
			w.fault(notOffered)
		}
	}
}

// checkRest looks at a world in which nothing more happens.
func (p *plan) checkRest(w *world) {
	for i, x := range p.ops {
		op := &w.ops[i]
		if op.lost {
			continue
		}
		if op.phase == offered {
			w.fault(stuck)
		}
		if x.choice != 0 && w.choices[x.choice-1].state == tentative {
			w.fault(undecided)
		}
		for j, y := range p.ops {
			if !x.receive && y.receive && x.ch == y.ch && p.waits(w, i) && p.waits(w, j) && p.meet(w, x, y) && (x.choice == 0 || x.choice != y.choice) {
				w.fault(passedBy)
			}
		}
	}
	for c := range p.channels {
		var home peerID
		for n := peerID(1); int(n) <= p.peers; n++ {
			cs := p.at(w, n, channel(c))
			st := cs.fields()
			if !cs.node(n).up || !st.opened || st.gone {
				continue
			}
			if !cs.isHome() && cs.attached(st.home) == nil {
				w.fault(noHome)
			}
			if home != 0 && home != st.claim.home && !p.walled(w) {
				w.fault(manyHomes)
			}
			home = st.claim.home
		}
	}
}

// meet reports whether two operations have a home in common.
func (p *plan) meet(w *world, x, y want) bool {
	return x.peer == y.peer || w.node(x.peer).channels[x.ch].claim.home == w.node(y.peer).channels[x.ch].claim.home ||
		!p.walled(w)
}

// walled reports whether two peers never reach each other.
func (p *plan) walled(w *world) bool { return len(p.walls) > 0 }

func (p *plan) waits(w *world, i int) bool {
	op, n := &w.ops[i], p.ops[i].choice
	if op.lost || n != 0 && w.choices[n-1].state != open {
		return false
	}
	return op.phase == waiting || op.phase == idle && n != 0
}
