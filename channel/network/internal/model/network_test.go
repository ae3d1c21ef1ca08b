package model

// between is the place of what two peers have in common.
func between(a, b peerID) int { return int(a) + int(b) - 3 }

// linksOf returns the two sessions that there is room for between two peers.
func linksOf(a, b peerID) [2]linkID {
	first := linkID(2*between(a, b) + 1)
	return [2]linkID{first, first + 1}
}

// ends returns the peers of a link.
func (s linkID) ends() [2]peerID {
	return [...][2]peerID{{1, 2}, {1, 3}, {2, 3}}[(s-1)/2]
}

// end returns s as n sees it.
func (w *world) end(s linkID, n peerID) *end {
	side := 0
	if s.ends()[1] == n {
		side = 1
	}
	return &w.links[s-1].ends[side]
}

// other returns the peer at the other end.
func (s linkID) other(n peerID) peerID {
	e := s.ends()
	if e[0] == n {
		return e[1]
	}
	return e[0]
}

func (w *world) node(n peerID) *node { return &w.nodes[n-1] }

func (w *world) reachable(a, b peerID) bool {
	return w.node(a).up && w.node(b).up && w.cuts[between(a, b)] == connected
}

// to returns a session that is open as far as a knows, the oldest, or 0.
func (w *world) to(a, b peerID) linkID {
	for _, s := range linksOf(a, b) {
		if w.end(s, a).open {
			return s
		}
	}
	return 0
}

// mayDial reports whether dial would succeed; it must wait while there is no
// room for another session, because an end of a broken one does not know yet.
func (w *world) mayDial(a, b peerID) bool {
	return w.to(a, b) != 0 || w.reachable(a, b) && w.room(a, b) != 0
}

func (w *world) room(a, b peerID) linkID {
	for _, s := range linksOf(a, b) {
		if x := &w.links[s-1]; !x.ends[0].open && !x.ends[1].open {
			return s
		}
	}
	return 0
}

// dial returns a session to b, or begins one.
func (w *world) dial(a, b peerID) linkID {
	if s := w.to(a, b); s != 0 {
		return s
	}
	return w.connect(a, b)
}

func (w *world) connect(a, b peerID) linkID {
	s := w.room(a, b)
	w.links[s-1] = session{}
	e := s.ends()
	for i := range 2 {
		w.links[s-1].ends[i] = end{open: true, incarnation: w.node(e[1-i]).incarnation}
	}
	return s
}

// put writes a frame. On a session that has broken it is lost, but who wrote it
// may not know that.
func (cs *channelState) put(s linkID, f frame) {
	if s == 0 || s == lostLink {
		return
	}
	e := cs.end(s, cs.me)
	if !e.open {
		return
	}
	f.ch = cs.ch
	switch f.kind {
	case send, deliver:
		f.acked = e.acceptsReceived
	case accept:
		if f.peer == 0 {
			e.unacked.list[e.unacked.n] = f.send
			e.unacked.n++
		}
	}
	far := cs.end(s, s.other(cs.me))
	if cs.links[s-1].broken || !far.open {
		return
	}
	if far.in.n == maxFlight {
		cs.fault(tooMuch)
		return
	}
	far.in.push(f)
}

// get hands the next frame to the channel at n's end of s that it is for.
func (p *plan) get(w *world, s linkID, n peerID) {
	e := w.end(s, n)
	f := e.in.pop()
	cs := p.at(w, n, f.ch)
	st := cs.fields()
	switch f.kind {
	case hello:
		if !st.opened || st.gone {
			cs.put(s, frame{kind: unknown})
			return
		}
		cs.onHello(s, f)
		return
	case unknown:
		if st.opened && !st.gone {
			cs.onUnknown(s)
		}
		return
	case send, deliver:
		for e.ackedCount < f.acked {
			e.ackedCount++
			copy(e.unacked.list[:], e.unacked.list[1:])
			e.unacked.n--
			e.unacked.list[e.unacked.n] = 0
		}
	case accept:
		if f.peer == 0 {
			e.acceptsReceived++
		}
	}
	att := &e.attachments[f.ch]
	if !att.numbered || st.gone {
		return
	}
	if f.kind == leave {
		att.numbered = false
	}
	cs.handle(s, f)
}

// wasAccepted reports whether a send was accepted before by n.
func (cs *channelState) wasAccepted(origin peerID, id opID) bool {
	if cs.p.defect == noMemory {
		return false
	}
	if cs.node(cs.me).unacked&(1<<id) != 0 {
		return true
	}
	for _, s := range linksOf(cs.me, origin) {
		e := cs.end(s, cs.me)
		for i := range e.unacked.n {
			if e.open && e.unacked.list[i] == id {
				return true
			}
		}
	}
	return false
}

// breakLink breaks s. Frames on their way are lost, unless late: then an end
// that has not learned of it reads on.
func (w *world) breakLink(s linkID, late bool) {
	x := &w.links[s-1]
	x.broken = true
	if !late {
		x.ends[0].in, x.ends[1].in = flight{}, flight{}
	}
}

// learn is when n knows that s has ended.
func (p *plan) learn(w *world, s linkID, n peerID) {
	e := w.end(s, n)
	x := w.node(n)
	x.losses |= 1 << s.other(n)
	for i := range e.unacked.n {
		x.unacked |= 1 << e.unacked.list[i]
	}
	ties := e.attachments
	*e = end{}
	for c := range p.channels {
		if ties[c].on {
			cs := p.at(w, n, channel(c))
			cs.onSessionLost(s)
		}
		cs := p.at(w, n, channel(c))
		cs.unlink(s)
	}
}

// unlink forgets a session that has ended for this peer: frames that would be
// written on it go nowhere.
func (cs *channelState) unlink(s linkID) {
	st := cs.fields()
	for i := range st.pairs.n {
		if st.pairs.list[i].other == s {
			st.pairs.list[i].other = lostLink
		}
	}
	for i := int(st.relayed.n) - 1; i >= 0; i-- {
		if st.relayed.list[i].link == s {
			st.relayed.remove(i)
		}
	}
	for id := range cs.mine() {
		op := cs.op(id)
		if op.offer.matcher == s {
			op.offer.matcher = 0
		}
	}
}

// crash ends a life of n.
func (p *plan) crash(w *world, n peerID) {
	for s := linkID(1); s <= maxLinks; s++ {
		if e := s.ends(); e[0] != n && e[1] != n {
			continue
		}
		if w.end(s, n).open {
			w.breakLink(s, false)
			*w.end(s, n) = end{}
		}
	}
	x := w.node(n)
	*x = node{incarnation: x.incarnation, restart: x.restart, losses: x.losses}
	for i := range p.ops {
		if p.ops[i].peer == n {
			w.ops[i] = operation{phase: over, result: w.ops[i].result, lost: true, received: w.ops[i].received, got: w.ops[i].got}
			if c := p.ops[i].choice; c != 0 {
				w.choices[c-1] = choice{state: decided}
			}
		}
	}
}

// tidy gives the older of two sessions the first place, so that equal worlds
// look equal, and frees what nobody refers to.
func (p *plan) tidy(w *world) {
	for a := peerID(1); a <= maxPeers; a++ {
		for b := a + 1; b <= maxPeers; b++ {
			l := linksOf(a, b)
			for _, s := range l {
				if x := &w.links[s-1]; !x.ends[0].open && !x.ends[1].open {
					*x = session{}
				}
			}
			first, second := &w.links[l[0]-1], &w.links[l[1]-1]
			if (*first == session{}) && (*second != session{}) {
				*first, *second = *second, *first
				p.rename(w, a, l[1], l[0])
				p.rename(w, b, l[1], l[0])
			}
		}
	}
}

func (p *plan) rename(w *world, n peerID, from, to linkID) {
	swap := func(s *linkID) {
		if *s == from {
			*s = to
		}
	}
	for c := range p.channels {
		cs := p.at(w, n, channel(c))
		st := cs.fields()
		swap(&st.home)
		for _, e := range []*entries{&st.sends, &st.receives, &st.aside, &st.relayed} {
			for i := range e.n {
				swap(&e.list[i].link)
				swap(&e.list[i].to)
			}
		}
		for i := range st.pairs.n {
			swap(&st.pairs.list[i].owner)
			swap(&st.pairs.list[i].other)
		}
		for id := range cs.mine() {
			op := cs.op(id)
			swap(&op.offer.via)
			swap(&op.offer.matcher)
			swap(&op.deferred.from)
		}
	}
}
