package model

// relayAnswer passes on what the peer of s answers to a value that came by way of
// this peer, the home.
func (cs *channelState) relayAnswer(s linkID, f frame) {
	p := &cs.fields().relayed
	for i := int(p.n) - 1; i >= 0; i-- {
		if x := p.list[i]; x.to == s && x.id == f.send && x.link.other(cs.me) == f.peer {
			p.remove(i)
			cs.answer(f.kind, x.link, f.send, s.other(cs.me))
		}
	}
}

// onRelayLost: the home passed on a value, and has lost the peer that it was for.
func (cs *channelState) onRelayLost(s linkID, f frame) {
	op := cs.remoteVisible(f.send)
	if op != nil && op.phase == offered && op.offer.via == s && op.offer.to == f.peer && f.peer != s.other(cs.me) {
		cs.startResume(f.send)
	}
}

// failRelayed tells the owners of values that were passed on to s that it has
// gone: they are refused if it left.
func (cs *channelState) failRelayed(s linkID, lost bool) {
	p := &cs.fields().relayed
	for i := int(p.n) - 1; i >= 0; i-- {
		if x := p.list[i]; x.to == s {
			p.remove(i)
			what := refuse
			if lost {
				what = relayLost
			}
			if cs.p.defect != forgetsPassed {
				cs.answer(what, x.link, x.id, s.other(cs.me))
			}
		}
	}
}
