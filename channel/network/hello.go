package network

// sendHello tells the other side of s whom this one takes for the home.
func (cs *channelState) sendHello(s *session, att *attachment) {
	att.helloSent, att.helloClaim = true, cs.claim
	f := frame{
		kind: hello, number: cs.number, claim: cs.claim,
		key: cs.key, proof: nameProof(cs.secret, cs.self(), s.peer),
	}
	if cs.claim.home != "" && !cs.isHome() {
		f.addrs = cs.space.node.AddrsOf(cs.claim.home)
	}
	s.send(f)
	cs.sendClosed(s, att)
}

// sendHelloOnce makes sure that the other side knows this one's number.
func (cs *channelState) sendHelloOnce(s *session) {
	if att := cs.attachment(s); att != nil && !att.helloSent {
		cs.sendHello(s, att)
	}
}

// onHello: another peer has the channel open. Whoever knows of a better claim
// tells the other.
func (cs *channelState) onHello(s *session, f *frame) {
	cs.mu.Lock()
	defer cs.unlock()
	att := cs.attachment(s)
	if att == nil {
		return
	}
	att.markAnswered()
	if f.claim.home != "" && !cs.refusedClaims[f.claim] && (cs.claim.home == "" || f.claim.better(cs.claim, cs.key)) {
		cs.adoptClaim(f.claim, f.addrs)
		cs.claimSource = s.peer
	}
	worse := f.claim.home != "" && cs.claim.better(f.claim, cs.key)
	if !att.helloSent || f.claim != cs.claim && (att.helloClaim != cs.claim || worse) {
		cs.sendHello(s, att)
	}
	if cs.isHome() && f.claim == cs.claim && !att.joined {
		att.joined, cs.successorStale = true, true
	}
	if cs.claim.home == s.peer && cs.home == nil {
		cs.joinHome(s, att)
	}
}

// onUnknown: the other side does not have the channel open.
func (cs *channelState) onUnknown(s *session) {
	cs.mu.Lock()
	defer cs.unlock()
	if att := cs.attachments[s]; att != nil {
		att.markAnswered()
		cs.onLeave(s, att)
	}
}

// onLeave: the other side has nothing more to do with the channel. What it
// did not answer, it did not take.
func (cs *channelState) onLeave(s *session, att *attachment) {
	delete(cs.attachments, s)
	s.detach(cs)
	cs.forgetOperations(s, att)
	cs.failRelayed(s, att, true)
	wasHome := cs.home == s || cs.home == nil && cs.claim.home == s.peer
	if cs.home == s {
		cs.home = nil
		cs.unregisterAll()
	}
	if wasHome && !cs.gone {
		cs.takeOver()
	}
	for _, op := range cs.remoteVisible {
		if !op.offered || op.offer.via != s {
			continue
		}
		switch {
		case op.offer.resumed && op.offer.to != s.peer:
			cs.startResume(op)
		case op.offer.resumed: // it may have been taken before the session broke
			cs.endInDoubt(op)
		default:
			cs.reoffer(op)
		}
	}
}
