package model

// redirect answers a request that only the home can serve.
func (cs *channelState) redirect(s linkID, att *attachment, f frame) {
	cs.sendHello(s, att)
	if f.kind == send && (f.value || f.resumed) {
		cs.put(s, frame{kind: queued, send: f.send, attempt: f.attempt})
	}
}

// registerRemote makes room for an operation of another peer.
func (cs *channelState) registerRemote(s linkID, id opID) { cs.forgetRemote(s, id) }

// forgetRemote drops an operation of another peer.
func (cs *channelState) forgetRemote(s linkID, id opID) {
	st := cs.fields()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		if i := e.index(s, id); i >= 0 {
			e.remove(i)
		}
	}
}

// onWithdraw: the operation does not wait any more.
func (cs *channelState) onWithdraw(s linkID, att *attachment, id opID) {
	st := cs.fields()
	i := st.sends.index(s, id)
	if i >= 0 && st.sends.list[i].parked {
		cs.put(s, frame{kind: queued, send: id, attempt: st.sends.list[i].attempt})
	}
	cs.forgetRemote(s, id)
	if att.blocked == id {
		att.blocked = 0
	} else if i < 0 || !cs.p.want(id).ordered {
		return
	}
	cs.rematch()
}

// forgetOperations drops what the home knows of the operations of s.
func (cs *channelState) forgetOperations(s linkID, att *attachment) {
	st := cs.fields()
	for _, e := range []*entries{&st.sends, &st.receives, &st.aside} {
		for i := int(e.n) - 1; i >= 0; i-- {
			if x := e.list[i]; x.link == s {
				e.remove(i)
				if x.parked {
					cs.put(s, frame{kind: queued, send: x.id, attempt: x.attempt})
				}
			}
		}
	}
	if att != nil {
		att.joined, att.blocked = false, 0
	}
	for i := st.pairs.next(s); i >= 0; i = st.pairs.next(s) {
		cs.returnReceive(st.pairs.remove(i))
	}
}
