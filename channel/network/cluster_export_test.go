package network

import (
	"fmt"
	"strings"

	"github.com/dstackless/dstackless/p2p"
)

// Tap has each stream that other peers open to this one go through wrap.
func (s *Space) Tap(wrap func(p2p.Stream) p2p.Stream) {
	s.node.Handle(Protocol, func(stream p2p.Stream) { s.accept(wrap(stream)) })
}

// Crash ends the space without a word to the others. What it still does in this
// process nobody sees.
func (s *Space) Crash() {
	s.node.Unhandle(Protocol)
	s.stop()
	s.resetSessions()
	s.Close()
}

// Describe tells what the space knows of its channels and sessions, for when
// something is stuck.
func (s *Space) Describe() string {
	var b strings.Builder
	short := func(id p2p.ID) string {
		text := id.String()
		return text[max(0, len(text)-4):]
	}
	fmt.Fprintf(&b, "peer %s", short(s.node.ID()))
	s.sessionsMu.Lock()
	for peer, list := range s.sessions {
		for _, sn := range list {
			sn.mu.Lock()
			fmt.Fprintf(&b, "\n\tsession %p to %s, dead %v, void %v, closing %v, %d accepts, %d blocks to write", sn, short(peer), sn.dead, sn.fenced.Load(), sn.closing, len(sn.unacked), len(sn.outgoing))
			sn.mu.Unlock()
		}
	}
	s.sessionsMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cs := range s.channels {
		cs.mu.Lock()
		fmt.Fprintf(&b, "\n\t%q: claim %d of %s, home %p, joining %v, closed %v", cs.name, cs.claim.term, short(cs.claim.home), cs.home, cs.joining, cs.closed)
		for peer := range cs.resuming {
			fmt.Fprintf(&b, "\n\t\tresumes %s", short(peer))
		}
		for _, q := range []*queue{&cs.sends, &cs.receives, &cs.remoteSends, &cs.remoteReceives} {
			for op := q.first; op != nil; op = op.next {
				fmt.Fprintf(&b, "\n\t\twaits: %d of %p, receive %v, remote receive %v, registered %v, promised %v, ordered %v, choice %v", op.id%10000, op.owner, op.sink != nil, q == &cs.remoteReceives, op.registered, op.promised, op.ordered, op.choice != nil)
			}
		}
		for _, op := range cs.remoteVisible {
			if op.offered {
				fmt.Fprintf(&b, "\n\t\toffered: %d to %s via %p, receive %d, open %v, again %v, ordered %v, abandoned %v", op.id%10000, short(op.offer.to), op.offer.via, op.offer.receive%10000, op.offer.anyReceive, op.offer.resumed, op.ordered, op.cancelErr)
			}
		}
		for from, to := range cs.pairs {
			fmt.Fprintf(&b, "\n\t\tpair: %d of %p with %d of %p", from.id%10000, from.owner, to.id%10000, to.owner)
		}
		for sn, att := range cs.attachments {
			fmt.Fprintf(&b, "\n\t\ttie: %p said %v claim %d of %s joins %v shut %v, %d ops, lined %d, blocked %d", sn, att.helloSent, att.helloClaim.term, short(att.helloClaim.home), att.joined, att.closeReceived, len(att.ops), len(att.pipeline), att.blocked%10000)
		}
		cs.mu.Unlock()
	}
	return b.String()
}
