package model

import "iter"

// A channelState is a peer's part in a channel of a world, with what it does there.
// Its methods are those of network.channelState, under the same names.
type channelState struct {
	*world
	p  *plan
	me peerID
	ch channel
}

func (p *plan) at(w *world, n peerID, c channel) *channelState { return &channelState{w, p, n, c} }

func (cs *channelState) fields() *channelFields { return &cs.node(cs.me).channels[cs.ch] }

func (cs *channelState) isHome() bool { return cs.fields().claim.home == cs.me }

func (cs *channelState) op(id opID) *operation { return &cs.ops[id-1] }

// mine yields the operations of the peer on the channel, in their order.
func (cs *channelState) mine() iter.Seq[opID] {
	return func(yield func(opID) bool) {
		for i := range cs.p.ops {
			if x := &cs.p.ops[i]; x.peer == cs.me && x.ch == cs.ch && !cs.ops[i].lost && !yield(opID(i+1)) {
				return
			}
		}
	}
}

// remoteVisible returns the operation of this peer with that number if it is not over.
func (cs *channelState) remoteVisible(id opID) *operation {
	if id == 0 {
		return nil
	}
	x, op := cs.p.want(id), cs.op(id)
	if x.peer != cs.me || x.ch != cs.ch || op.lost || op.phase != waiting && op.phase != offered {
		return nil
	}
	return op
}

func (cs *channelState) choiceOf(id opID) *choice {
	if c := cs.p.want(id).choice; c != 0 {
		return &cs.choices[c-1]
	}
	return nil
}

// attachment returns what cs and s have to do with each other, or nil if s has ended.
func (cs *channelState) attachment(s linkID) *attachment {
	e := cs.end(s, cs.me)
	if !e.open || cs.fields().gone {
		return nil
	}
	att := &e.attachments[cs.ch]
	att.on = true
	return att
}

// attached returns the attachment that is there already, or nil.
func (cs *channelState) attached(s linkID) *attachment {
	if s == 0 || s == lostLink {
		return nil
	}
	if e := cs.end(s, cs.me); e.open && e.attachments[cs.ch].on {
		return &e.attachments[cs.ch]
	}
	return nil
}

// attachments yields the sessions that the channel is attached to.
func (cs *channelState) attachments() iter.Seq2[linkID, *attachment] {
	return func(yield func(linkID, *attachment) bool) {
		for s := linkID(1); s <= maxLinks; s++ {
			if e := s.ends(); e[0] != cs.me && e[1] != cs.me {
				continue
			}
			if att := cs.attached(s); att != nil && !yield(s, att) {
				return
			}
		}
	}
}

func (cs *channelState) detach(s linkID) {
	att := &cs.end(s, cs.me).attachments[cs.ch]
	*att = attachment{numbered: att.numbered}
}

func (cs *channelState) handle(s linkID, f frame) {
	att := cs.attachment(s)
	if att == nil {
		return
	}
	if f.resumed && cs.p.defect != noFence {
		cs.fenceOldSessions(s)
	}
	switch f.kind {
	case leave:
		cs.onLeave(s)
	case send:
		cs.onSend(s, att, f)
	case receive:
		cs.onReceive(s, f)
	case withdraw:
		cs.onWithdraw(s, att, f.send)
	case matchResult:
		cs.onMatchResult(s, att, f)
	case queued:
		cs.onQueued(s, f)
	case match:
		cs.onMatch(s, f)
	case deliver:
		cs.onDeliver(s, att, f)
	case accept, refuse:
		cs.onAnswer(s, f)
	case relayLost:
		cs.onRelayLost(s, f)
	}
}

// fenceOldSessions ends the other sessions to the peer of s, which has lost one of them
// and offers on s what it had offered there: that must not count twice.
func (cs *channelState) fenceOldSessions(s linkID) {
	for _, o := range linksOf(cs.me, s.other(cs.me)) {
		if o != s && cs.end(o, cs.me).open {
			cs.breakLink(o, false)
			cs.p.learn(cs.world, o, cs.me)
		}
	}
}

// inFlight reports whether an outcome is awaited.
func (cs *channelState) inFlight() bool {
	if cs.fields().relayed.n > 0 && cs.p.defect != leaveMeansNo {
		return true // and must be passed back
	}
	for id := range cs.mine() {
		if cs.op(id).phase == offered {
			return true
		}
	}
	return false
}

// leave is when the last user of the channel closes its end.
func (cs *channelState) leave() {
	cs.fields().left = true
	var all []opID
	for id := range cs.mine() {
		all = append(all, id)
	}
	for i := len(all) - 1; i >= 0; i-- {
		switch id := all[i]; cs.op(id).phase {
		case idle:
			cs.op(id).phase, cs.op(id).result = over, cancelled
		case waiting:
			cs.finish(id, cancelled)
		}
	}
}

// leaveAll says goodbye to all sessions. As home it hands the matchmaking to the
// member closest to the key.
func (cs *channelState) leaveAll() {
	st := cs.fields()
	st.gone = true
	if cs.isHome() {
		var next claim
		for s, att := range cs.attachments() {
			c := claim{st.claim.term + 1, s.other(cs.me)}
			if att.joined && (next.home == 0 || c.better(next)) {
				next = c
			}
		}
		if next.home != 0 {
			st.claim = next
			for s, att := range cs.attachments() {
				cs.sendHello(s, att)
			}
		}
	}
	for s := range cs.attachments() {
		cs.put(s, frame{kind: leave})
		cs.detach(s)
	}
	*st = channelFields{opened: true, left: true, gone: true}
}
