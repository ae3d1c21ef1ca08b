package network

import "github.com/dstackless/dstackless/channel"

// maxInlineBytes is the size of the largest value that goes to the home together with
// the request for a match: 128 KiB. If a receive of the home's own is waiting,
// one round trip does. It goes along if the home received the last one: who may
// have taken a value when it is lost leaves the sender in doubt.
const maxInlineBytes = channel.MaxReused

// register tells the home of an operation that waits.
func (cs *channelState) register(op *operation) {
	if cs.home == nil || cs.attachments[cs.home] == nil || op.registered {
		return
	}
	op.blocks = false
	if op.sink != nil {
		cs.makeVisible(op)
		op.registered = true
		cs.home.send(frame{kind: receive, number: cs.number, receive: op.id})
		return
	}
	if op.choice == nil { // an alternative is tentative no longer than need be
		if err := op.encode(); err != nil { // said at once, not when a receive is found
			cs.finish(op, err)
			return
		}
		if cs.homeReceivedLast && len(op.encoded) <= maxInlineBytes {
			cs.offer(op, offer{to: cs.home.peer, via: cs.home, incarnation: cs.home.incarnation, anyReceive: true})
			return
		}
	}
	cs.makeVisible(op)
	op.registered = true
	cs.nextAttempt(op)
	cs.home.send(frame{kind: send, number: cs.number, send: op.id, attempt: op.attempt, term: op.term, ordered: op.ordered})
}

// nextAttempt numbers what the home is about to hear of op.
func (cs *channelState) nextAttempt(op *operation) {
	cs.lastAttempt++
	op.attempt, op.term = cs.lastAttempt, cs.claim.term
}

// registerAll tells a new home of everything that waits.
func (cs *channelState) registerAll() {
	for _, q := range []*queue{&cs.sends, &cs.receives} {
		for op := q.first; op != nil; {
			next := op.next
			if !op.ordered {
				cs.register(op)
			}
			op = next
		}
	}
	cs.registerPipeline()
}

// unregisterAll notes that no home knows of anything.
func (cs *channelState) unregisterAll() {
	for _, q := range []*queue{&cs.sends, &cs.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered, op.promised, op.blocks = false, false, false
		}
	}
	cs.pipeline.registered, cs.homeReceivedLast = 0, false
	cs.failProbes()
}

func (cs *channelState) makeVisible(op *operation) {
	op.remoteVisible = true
	cs.remoteVisible[op.id] = op
}
