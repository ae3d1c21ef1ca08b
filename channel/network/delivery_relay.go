package network

import "github.com/dstackless/dstackless/p2p"

// Two peers that cannot reach each other deliver by way of the home. If the home
// loses the receiver before it answers, the home tells the sender.

// relaySession returns the session to a member on which values are relayed, or nil.
func (cs *channelState) relaySession(peer p2p.ID) *session {
	for _, s := range cs.space.sessionsTo(peer) {
		if att := cs.attachments[s]; att != nil && att.joined {
			return s
		}
	}
	return nil
}

// relay passes a value on to the peer that it is for. It reports false if that
// cannot be reached, or has too much to read already.
func (cs *channelState) relay(s *session, f *frame) bool {
	to := cs.relaySession(f.peer)
	if to == nil {
		return false
	}
	cs.sendHelloOnce(to)
	att, id := cs.attachments[to], remoteID{s, f.send}
	_, again := att.relayed[id]
	if !again && !to.memory.add(relayedEntryBytes) {
		return false
	}
	on := *f
	on.number, on.peer, on.relay = cs.number, s.peer, false
	if !to.sendRelayed(on) {
		if !again {
			to.memory.remove(relayedEntryBytes)
		}
		return false
	}
	att.relayed[id] = f.resumed
	return true
}

// failRelayed tells the owners of the values that were relayed to the peer of s, and
// not answered, that the peer is gone. A peer that said goodbye has taken none.
func (cs *channelState) failRelayed(s *session, att *attachment, goodbye bool) {
	for id, again := range att.relayed {
		f := frame{kind: relayLost, number: cs.number, send: id.id, peer: s.peer}
		if goodbye && !again {
			f.kind = refuse
		}
		id.owner.send(f)
	}
	s.memory.remove(len(att.relayed) * relayedEntryBytes)
	clear(att.relayed)
}

// relayAnswer passes on what the peer of s answers to a value that came by way of
// this peer, the home.
func (cs *channelState) relayAnswer(s *session, f *frame) {
	att := cs.attachments[s]
	for id := range att.relayed {
		if id.id == f.send && id.owner.peer == f.peer {
			delete(att.relayed, id)
			s.memory.remove(relayedEntryBytes)
			id.owner.send(frame{kind: f.kind, number: cs.number, send: f.send, peer: s.peer})
		}
	}
}

// onRelayLost: the home relayed a value, and has lost the peer that it was for.
func (cs *channelState) onRelayLost(s *session, f *frame) {
	op := cs.remoteVisible[f.send]
	if op != nil && op.offered && op.offer.via == s && op.offer.to == f.peer && f.peer != s.peer {
		cs.startResume(op)
	}
}
