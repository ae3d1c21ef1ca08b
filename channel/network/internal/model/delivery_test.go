package model

// onQueued: the home did not take the value of a send, and has it in its queue.
func (cs *channelState) onQueued(s linkID, f frame) {
	id := f.send
	op := cs.remoteVisible(id)
	if op == nil || !cs.isAtHome(id, s) || f.attempt != op.attempt && cs.p.defect != trustsOldAnswers {
		return
	}
	if st := cs.fields(); s != st.home || op.offer.asksOnly || op.term != st.claim.term && cs.p.defect != trustsOldAnswers {
		cs.reoffer(id)
		return
	}
	op.phase, op.registered, op.offer = waiting, true, offer{}
	if cs.unwanted(id) {
		cs.finish(id, cancelled)
		return
	}
	if cs.isNext(id) {
		cs.matchSend(id)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (cs *channelState) onMatch(s linkID, f frame) {
	op := cs.remoteVisible(f.send)
	current := op != nil && !cs.p.want(f.send).receive && (f.attempt == op.attempt || cs.p.defect == followsStale)
	if current && s == cs.fields().home {
		op.registered = false // it has struck it out
	}
	if !current || !cs.follows(f.send, s, f.peer) {
		cs.put(s, frame{kind: matchResult, send: f.send, receive: f.receive, outcome: gone})
		return
	}
	o := offer{to: f.peer, receive: f.receive, matcher: s}
	if f.peer == s.other(cs.me) {
		o.via = s
	} else {
		o.via = cs.to(cs.me, f.peer)
	}
	if o.via != 0 {
		o.incarnation = cs.end(o.via, cs.me).incarnation
		cs.offer(f.send, o)
		return
	}
	// Set aside while the peer is dialled.
	op.phase, op.offer = offered, o
}

// dialled is when the dialling of onMatch has come to an end.
func (cs *channelState) dialled(id opID) {
	op := cs.op(id)
	if cs.unwanted(id) {
		cs.reportGone(id)
		cs.reoffer(id)
		return
	}
	o := &op.offer
	switch {
	case cs.mayDial(cs.me, o.to):
		o.via = cs.dial(cs.me, o.to)
		o.incarnation = cs.end(o.via, cs.me).incarnation
		cs.sendOffer(id)
	case cs.attached(o.matcher) != nil:
		o.via = o.matcher
		cs.sendOffer(id)
	default:
		cs.reoffer(id)
	}
}

// follows reports whether a send of this peer follows a match that the peer of
// s has made with a receive of another.
func (cs *channelState) follows(id opID, s linkID, with peerID) bool {
	op := cs.remoteVisible(id)
	if cs.p.defect == offersTwice && op.phase == offered && !op.offer.anyReceive {
		return true
	}
	if op.phase != waiting && !cs.isAtHome(id, s) {
		return false
	}
	if cs.unwanted(id) {
		cs.finish(id, cancelled)
		return false
	}
	if with == cs.me && cs.p.defect == matchesOneself {
		return false
	}
	if with == cs.me || !cs.isNext(id) || !cs.reserve(id) {
		if cs.p.want(id).ordered {
			cs.fields().registered = min(cs.fields().registered, uint8(cs.index(id)))
		}
		if op.phase != waiting {
			op.phase, op.offer = waiting, offer{}
		}
		if cs.p.want(id).ordered {
			cs.registerPipeline()
		} else if cs.p.want(id).choice == 0 {
			cs.register(id)
		}
		return false
	}
	return true
}

// onDeliver: another peer offers a value to a receive of this one, or to that of
// a member which it cannot reach.
func (cs *channelState) onDeliver(s linkID, att *attachment, f frame) {
	st := cs.fields()
	origin := s.other(cs.me)
	switch {
	case f.relay:
		if to := cs.relaySession(f.peer); to != 0 {
			cs.sendHelloOnce(to)
			if st.relayed.index(s, f.send) < 0 {
				st.relayed.push(entry{link: s, id: f.send, to: to})
			}
			on := f
			on.peer, on.relay = origin, false
			cs.put(to, on)
			return
		}
		cs.answer(refuse, s, f.send, f.peer)
		return
	case f.peer != 0 && s != st.home:
		cs.answer(refuse, s, f.send, f.peer) // only the home passes on
		return
	case f.peer != 0:
		origin = f.peer
	}
	if i := st.pairs.index(s, f.send); i >= 0 {
		st.pairs.remove(i) // if this peer is the home: settled here
	}
	cs.sendHelloOnce(s)
	if (f.resumed || f.peer != 0) && cs.wasAccepted(origin, f.send) {
		cs.answer(accept, s, f.send, f.peer)
		return
	}
	if x := cs.node(cs.me); f.peer != 0 && x.fenced&(1<<f.send) != 0 {
		cs.answer(refuse, s, f.send, f.peer)
		return
	} else if f.resumed { // what is passed on late does not count
		x.fenced |= 1 << f.send
	}
	r := cs.remoteVisible(f.receive)
	if cs.p.defect == takesTwice && r == nil && cs.op(f.receive).got != 0 {
		cs.accepts(f.send, f.receive)
		cs.answer(accept, s, f.send, f.peer)
		return
	}
	if r == nil || r.phase != waiting {
		cs.answer(refuse, s, f.send, f.peer)
		return
	}
	// Whoever made the match has struck it out.
	if cs.p.defect != registersNoMore {
		r.registered, r.promised = false, false
	}
	k := deferredOffer{from: s, origin: f.peer, send: f.send}
	switch {
	case cs.commit(f.receive, 0):
		cs.deliverRemote(k, f.receive)
	case cs.defers(f.receive, origin, f.choice) && (r.deferred.send == 0 || r.deferred.send == f.send):
		r.deferred = k
	default:
		cs.answer(refuse, s, f.send, f.peer)
	}
}

// joined returns the oldest session by which a peer takes this one for its home.
func (cs *channelState) relaySession(n peerID) (s linkID) {
	for _, o := range linksOf(cs.me, n) {
		if att := cs.attached(o); s == 0 && att != nil && att.joined {
			s = o
		}
	}
	if first := cs.to(cs.me, n); cs.p.defect == passesOnAnywhere && s != first {
		return 0
	}
	return s
}

// deliverRemote takes an offered value for the receive r, and says so.
func (cs *channelState) deliverRemote(k deferredOffer, r opID) {
	if att := cs.attached(k.from); att != nil && k.origin == 0 && att.blocked == k.send {
		att.blocked = 0
	}
	cs.deliverLocal(k.send, r)
	if k.origin != 0 {
		cs.node(cs.me).unacked |= 1 << k.send
	}
	cs.answer(accept, k.from, k.send, k.origin)
	if cs.isHome() {
		cs.rematch()
	}
}

func (cs *channelState) answer(what kind, s linkID, id opID, peer peerID) {
	cs.put(s, frame{kind: what, send: id, peer: peer})
}

// onAnswer: a value was accepted or refused.
func (cs *channelState) onAnswer(s linkID, f frame) {
	to := s.other(cs.me)
	if f.peer != 0 {
		to = f.peer
	}
	op := cs.remoteVisible(f.send)
	if op == nil || op.phase != offered || op.offer.via != s || op.offer.to != to {
		cs.relayAnswer(s, f)
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != 0 && by.other(cs.me) != to {
		cs.put(by, frame{kind: matchResult, send: f.send, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		cs.finish(f.send, done)
	} else {
		cs.reoffer(f.send)
	}
}
