package model

// sendHello tells the other side of s whom this one takes for the home.
func (cs *channelState) sendHello(s linkID, att *attachment) {
	att.helloSent, att.helloClaim = true, cs.fields().claim
	cs.put(s, frame{kind: hello, claim: cs.fields().claim})
}

// sendHelloOnce makes sure that the other side knows this one's number.
func (cs *channelState) sendHelloOnce(s linkID) {
	if att := cs.attachment(s); att != nil && !att.helloSent {
		cs.sendHello(s, att)
	}
}

// onHello: another peer has the channel open. Whoever knows of a better claim
// tells the other.
func (cs *channelState) onHello(s linkID, f frame) {
	att := cs.attachment(s)
	if att == nil {
		return
	}
	att.numbered = true
	st := cs.fields()
	if f.claim.home != 0 && (st.claim.home == 0 || cs.believes(f.claim)) {
		cs.adoptClaim(f.claim)
		st.claimSource = s.other(cs.me)
	}
	worse := f.claim.home != 0 && st.claim.better(f.claim)
	if !att.helloSent || f.claim != st.claim && (att.helloClaim != st.claim || worse) {
		cs.sendHello(s, att)
	}
	att.joined = cs.isHome() && f.claim == st.claim || att.joined && cs.isHome()
	if st.claim.home == s.other(cs.me) && st.home == 0 {
		cs.joinHome(s, att)
	}
}

func (cs *channelState) believes(c claim) bool {
	if cs.p.defect == worseClaims {
		return c != cs.fields().claim
	}
	return c.better(cs.fields().claim)
}

// onUnknown: the other side does not have the channel open.
func (cs *channelState) onUnknown(s linkID) {
	if cs.attached(s) != nil {
		cs.onLeave(s)
	}
}

// onLeave: the other side has nothing more to do with the channel. What it did
// not answer, it did not take.
func (cs *channelState) onLeave(s linkID) {
	st, n := cs.fields(), s.other(cs.me)
	cs.detach(s)
	cs.end(s, cs.me).attachments[cs.ch] = attachment{}
	cs.forgetOperations(s, nil)
	cs.failRelayed(s, cs.p.defect == doubtsOnLeave)
	cs.unlinkPairs(s)
	wasHome := st.home == s || st.home == 0 && st.claim.home == n
	if st.home == s {
		st.home = 0
		cs.unregisterAll()
	}
	if wasHome && !st.gone {
		cs.takeOver()
	}
	for id := range cs.mine() {
		op := cs.op(id)
		if op.phase != offered || op.offer.via != s {
			continue
		}
		switch {
		case op.offer.resumed && op.offer.to != n: // it was passed on before
			cs.startResume(id)
		case op.offer.resumed: // it may have been taken before the session broke
			cs.endInDoubt(id)
		default:
			cs.reoffer(id)
		}
	}
}

// unlinkPairs notes that the owner of receives has gone.
func (cs *channelState) unlinkPairs(s linkID) {
	st := cs.fields()
	for i := range st.pairs.n {
		if st.pairs.list[i].other == s {
			st.pairs.list[i].other = lostLink
		}
	}
}
