package model

// register tells the home of an operation that waits.
func (cs *channelState) register(id opID) {
	st, op, x := cs.fields(), cs.op(id), cs.p.want(id)
	if st.home == 0 || cs.attached(st.home) == nil || op.registered {
		return
	}
	op.blocks = false
	switch {
	case x.receive:
		op.registered = true
		cs.put(st.home, frame{kind: receive, receive: id})
	case x.choice == 0 && !x.big:
		cs.offer(id, offer{to: st.home.other(cs.me), via: st.home, incarnation: cs.end(st.home, cs.me).incarnation, anyReceive: true})
	default:
		op.registered = true
		cs.nextAttempt(id)
		cs.put(st.home, frame{kind: send, send: id, attempt: op.attempt, term: op.term})
	}
}

// nextAttempt numbers what the home is asked, so that its answers can be told from
// those to what it was asked before.
func (cs *channelState) nextAttempt(id opID) {
	op := cs.op(id)
	op.term = cs.fields().claim.term
	if cs.p.defect == countsTerms {
		op.attempt = op.term
	} else {
		op.attempt = (op.attempt + 1) % attempts
	}
}

// registerAll tells a new home of everything that waits.
func (cs *channelState) registerAll() {
	for _, receives := range []bool{false, true} {
		for id := range cs.mine() {
			if x := cs.p.want(id); x.receive == receives && !x.ordered && cs.op(id).phase == waiting {
				cs.register(id)
			}
		}
	}
	cs.registerPipeline()
}

// unregisterAll notes that no home knows of anything.
func (cs *channelState) unregisterAll() {
	for id := range cs.mine() {
		if op := cs.op(id); op.phase == waiting {
			op.registered, op.promised, op.blocks = false, false, false
		}
	}
	cs.fields().registered = 0
}
