package model

// offer sends a send, reserved if it is an alternative, on its way to the peer
// that decides over it.
func (cs *channelState) offer(id opID, o offer) {
	op := cs.op(id)
	op.phase, op.registered, op.offer = offered, false, o
	cs.sendOffer(id)
}

// sendOffer writes the frame of an offer whose session is there.
func (cs *channelState) sendOffer(id opID) {
	o := &cs.op(id).offer
	o.by = o.via.other(cs.me)
	att := cs.attachment(o.via)
	if att == nil {
		cs.startResume(id)
		return
	}
	if !att.helloSent {
		cs.sendHello(o.via, att)
	}
	f := frame{kind: send, send: id, value: true, resumed: o.resumed}
	if op := cs.op(id); o.anyReceive {
		cs.nextAttempt(id)
		f.attempt, f.term = op.attempt, op.term
		if o.resumed && !cs.isNext(id) && cs.p.defect != resumesAll {
			f.value, o.asksOnly = false, true // nothing may overtake those before it
		}
	} else {
		f.kind, f.receive, f.choice = deliver, o.receive, cs.p.want(id).choice
		if to := o.via.other(cs.me); o.to != to {
			f.peer, f.relay = o.to, true
		}
	}
	cs.put(o.via, f)
}

// reoffer takes back an offered send that was surely not received, and tries
// again.
func (cs *channelState) reoffer(id opID) {
	op, st := cs.op(id), cs.fields()
	if cs.p.want(id).ordered {
		op.blocks = op.offer.matcher != 0 && op.offer.matcher == st.home
		st.registered = min(st.registered, uint8(cs.index(id)))
	}
	op.offer = offer{}
	if c := cs.choiceOf(id); c != nil {
		op.phase = waiting
		cs.release(id)
		return
	}
	if cs.unwanted(id) {
		cs.finish(id, cancelled)
		return
	}
	cs.submitSend(id)
}
