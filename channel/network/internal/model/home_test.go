package model

// exchangeHello says hello to a peer.
func (cs *channelState) exchangeHello(n peerID) {
	s := cs.dial(cs.me, n)
	if att := cs.attachment(s); att != nil && (!att.helloSent || att.helloClaim != cs.fields().claim) {
		cs.sendHello(s, att)
	}
}

// adoptClaim changes to a better claim.
func (cs *channelState) adoptClaim(c claim) {
	st := cs.fields()
	if st.claim.home != 0 && !c.better(st.claim) {
		cs.fault(worseClaim)
	}
	if c.term > maxTerm {
		cs.fault(endlessElection)
		return
	}
	wasHome := cs.isHome()
	st.claim, st.claimSource, st.homeReached = c, 0, false
	st.home = 0
	cs.unregisterAll()
	if wasHome {
		for s, att := range cs.attachments() {
			cs.forgetOperations(s, att)
			if cs.p.defect == forgetsOnMove {
				cs.failRelayed(s, true)
			}
		}
		st.pairs = pairs{}
	}
	for s, att := range cs.attachments() {
		if att.helloSent {
			cs.sendHello(s, att)
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

// joinHome submits to the home, at the other end of s, what waits here.
func (cs *channelState) joinHome(s linkID, att *attachment) {
	cs.fields().home, cs.fields().homeReached = s, true
	if !att.helloSent || att.helloClaim != cs.fields().claim {
		cs.sendHello(s, att)
	}
	cs.registerAll()
}

// seekHome is when the home that the claim names was dialled.
func (cs *channelState) seekHome() {
	s := cs.dial(cs.me, cs.fields().claim.home)
	if att := cs.attachment(s); att != nil {
		cs.joinHome(s, att)
	}
}

// takeOver makes this peer the home in place of one that is lost.
func (cs *channelState) takeOver() {
	st := cs.fields()
	next := claim{st.claim.term + 1, cs.me}
	if t := st.claimSource; t != 0 && !st.homeReached && t != st.claim.home && cs.to(cs.me, t) != 0 && cs.p.defect != takesPlace {
		next.home = t
	}
	cs.adoptClaim(next)
}

// remindHome tells the home again of the receives that wait.
func (cs *channelState) remindHome() {
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
