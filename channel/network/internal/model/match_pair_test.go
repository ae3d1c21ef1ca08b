package model

// pairUp tells the owner of a remote send where to deliver. The receive is
// another peer's or, set aside but still free for senders here, this peer's.
func (cs *channelState) pairUp(x entry, s linkID, r opID) {
	st := cs.fields()
	if cs.p.defect != offersTwice {
		cs.forgetRemote(x.link, x.id)
	}
	f := frame{kind: match, send: x.id, receive: r, attempt: x.attempt}
	if s == 0 {
		cs.op(r).promised = true
		f.peer = cs.me
	} else {
		if i := st.receives.index(s, r); i >= 0 {
			st.receives.remove(i)
		}
		if st.aside.index(s, r) < 0 {
			st.aside.push(entry{link: s, id: r})
		}
		f.peer = s.other(cs.me)
	}
	if cs.p.want(x.id).ordered {
		cs.attached(x.link).blocked = x.id
	}
	if i := st.pairs.index(x.link, x.id); i >= 0 {
		st.pairs.remove(i)
	}
	st.pairs.add(pair{x.link, x.id, s, r})
	cs.put(x.link, f)
}

// add keeps pairs in an order of their own: it does not matter when they came.
func (p *pairs) add(x pair) {
	at := 0
	for at < int(p.n) && (p.list[at].send < x.send || p.list[at].send == x.send && p.list[at].owner < x.owner) {
		at++
	}
	copy(p.list[at+1:], p.list[at:p.n])
	p.list[at] = x
	p.n++
}

// onMatchResult: the owner of a send tells what became of a match.
func (cs *channelState) onMatchResult(s linkID, att *attachment, f frame) {
	st := cs.fields()
	i := st.pairs.index(s, f.send)
	if i < 0 || st.pairs.list[i].receive != f.receive {
		return // made by this peer before it stopped being home
	}
	x := st.pairs.remove(i)
	if f.outcome == gone {
		cs.returnReceive(x)
	} else if x.other != 0 && cs.attached(x.other) != nil && (f.outcome == accepted || st.receives.index(x.other, x.receive) < 0) {
		cs.forgetRemote(x.other, x.receive)
	}
	if att.blocked == f.send && (f.outcome != refused || cs.p.defect == overtakesRefused) {
		att.blocked = 0
		cs.rematch()
	}
}

// returnReceive puts the receive of a match back that came to nothing.
func (cs *channelState) returnReceive(x pair) {
	st := cs.fields()
	if x.other == 0 {
		r := cs.remoteVisible(x.receive)
		if r == nil || !r.promised {
			return
		}
		r.promised = false
		if i := cs.remoteSend(0); i >= 0 && r.phase == waiting && cs.free(x.receive) {
			cs.pairUp(st.sends.list[i], 0, x.receive)
		}
		return
	}
	if cs.attached(x.other) == nil {
		return
	}
	if st.aside.index(x.other, x.receive) >= 0 || cs.p.defect == releasesTwice && st.receives.index(x.other, x.receive) >= 0 {
		cs.matchReceive(x.other, x.receive)
	}
}

// next returns the place of a match for a send of s, or -1.
func (p *pairs) next(s linkID) int {
	for i := range p.n {
		if p.list[i].owner == s {
			return int(i)
		}
	}
	return -1
}
