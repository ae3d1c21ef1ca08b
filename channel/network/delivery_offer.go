package network

// endOffer notes that op is with nobody any more.
func (cs *channelState) endOffer(op *operation) {
	if op.offered && op.ordered && op.offer.anyReceive {
		cs.pipeline.bytes -= len(op.encoded)
	}
	op.offered, op.offer = false, offer{}
}

// offer sends an encoded send, reserved if it is an alternative, on its way to
// the peer that decides over it.
func (cs *channelState) offer(op *operation, o offer) {
	op.remove()
	if op.ordered && o.anyReceive {
		cs.pipeline.bytes += len(op.encoded)
	}
	cs.makeVisible(op)
	op.registered, op.offered, op.offer = false, true, o
	cs.sendOffer(op)
}

// sendOffer writes the frame of an offer whose session is there.
func (cs *channelState) sendOffer(op *operation) {
	o := &op.offer
	att := cs.attachment(o.via)
	if att == nil { // the session has just ended, and onSessionLost has been or will be here
		cs.startResume(op)
		return
	}
	if !att.helloSent {
		cs.sendHello(o.via, att)
	}
	f := frame{kind: send, number: cs.number, send: op.id, value: op.encoded, resumed: o.resumed, ordered: op.ordered}
	if o.anyReceive {
		if o.asksOnly = o.resumed && !cs.isNext(op); o.asksOnly {
			f.value = nil
		}
		cs.nextAttempt(op)
		f.attempt, f.term = op.attempt, op.term
	} else {
		if op.choice != nil {
			f.choice = op.choice.id
		}
		f.ordered = false
		f.kind, f.receive = deliver, o.receive
		if o.to != o.via.peer {
			f.peer, f.relay = o.to, true
		}
	}
	o.via.send(f)
}

// reoffer takes back an offered send that was surely not received, and tries
// again.
func (cs *channelState) reoffer(op *operation) {
	if op.ordered {
		// A home that made a match for it lets nothing pass it before it is
		// heard of again.
		op.blocks = op.offer.matcher != nil && op.offer.matcher == cs.home
		cs.pipeline.unregister(op)
	}
	cs.endOffer(op)
	if op.choice != nil {
		op.choice.release() // the select tries again
		return
	}
	if err := op.unwanted(); err != nil {
		cs.finish(op, err)
		return
	}
	cs.submitSend(op)
}
