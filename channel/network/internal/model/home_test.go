package model

// ask says hello to a peer.
func (cs *channelState) ask(n peerID) {
	s := cs.dial(cs.me, n)
	if att := cs.attachment(s); att != nil && (!att.helloSent || att.helloClaim != cs.fields().claim) {
		cs.greet(s, att)
	}
}

// adopt changes to a better claim.
func (cs *channelState) adopt(c claim) {
	st := cs.fields()
	if st.claim.home != 0 && !c.better(st.claim) {
		cs.fault(worseClaim)
	}
	if c.generation > maxGeneration {
		cs.fault(endlessElection)
		return
	}
	wasHome := cs.isHome()
	st.claim, st.teller, st.reached = c, 0, false
	st.home = 0
	cs.unregisterAll()
	if wasHome {
		for s, att := range cs.attachments() {
			cs.dissolve(s, att)
			if cs.p.defect == forgetsOnMove {
				cs.giveUpPassed(s, true)
			}
		}
		st.pairs = pairs{}
	}
	for s, att := range cs.attachments() {
		if att.helloSent {
			cs.greet(s, att)
		}
	}
	if cs.isHome() {
		for id := range cs.mine() { // whoever waits here may have been waiting for a home
			if op := cs.op(id); op.phase == waiting {
				op.registered = false
			}
		}
	}
}

// join submits to the home, at the other end of s, what waits here.
func (cs *channelState) join(s linkID, att *attachment) {
	cs.fields().home, cs.fields().reached = s, true
	if !att.helloSent || att.helloClaim != cs.fields().claim {
		cs.greet(s, att)
	}
	cs.registerAll()
}

// rejoin is when the home that the claim names was dialled.
func (cs *channelState) rejoin() {
	s := cs.dial(cs.me, cs.fields().claim.home)
	if att := cs.attachment(s); att != nil {
		cs.join(s, att)
	}
}

// succeed makes this peer the home in place of one that is lost.
func (cs *channelState) succeed() {
	st := cs.fields()
	next := claim{st.claim.generation + 1, cs.me}
	if t := st.teller; t != 0 && !st.reached && t != st.claim.home && cs.to(cs.me, t) != 0 && cs.p.defect != takesPlace {
		next.home = t
	}
	cs.adopt(next)
}

// remind tells the home again of the receives that wait.
func (cs *channelState) remind() {
	st := cs.fields()
	for r := range cs.mine() {
		op := cs.op(r)
		if !cs.p.want(r).receive || op.phase != waiting {
			continue
		}
		switch {
		case cs.isHome():
			op.promised = false
			cs.rematch()
		case cs.attached(st.home) != nil && op.registered:
			cs.put(st.home, frame{kind: receive, receive: r})
		}
	}
}
