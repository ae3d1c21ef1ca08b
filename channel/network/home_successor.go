package network

import (
	"context"

	"github.com/dstackless/dstackless/p2p"
)

// The home tells its members who of them is to take its place if it is lost:
// the one closest to the channel's key. So they need not find out when it has
// happened.

// announceSuccessor tells the members that do not know it.
func (cs *channelState) announceSuccessor() {
	cs.successorStale = false
	if !cs.isHome() {
		return
	}
	var next claim
	for s, att := range cs.attachments {
		if c := (claim{1, s.peer}); att.joined && (next.home == "" || c.better(next, cs.key)) {
			next = c
		}
	}
	var addrs []string
	for s, att := range cs.attachments {
		if !att.joined || att.successorSent == next.home {
			continue
		}
		att.successorSent = next.home
		if addrs == nil {
			addrs = cs.space.node.AddrsOf(next.home)
		}
		s.send(frame{kind: successor, number: cs.number, peer: next.home, addrs: addrs})
	}
}

// onSuccessor: the home tells who is next.
func (cs *channelState) onSuccessor(s *session, f *frame) {
	if s.peer != cs.claim.home {
		return
	}
	cs.successor = f.peer
	if f.peer != "" && f.peer != cs.self() {
		cs.space.node.AddAddrs(f.peer, f.addrs)
	}
}

// failover finds the home's successor after it was lost: the successor, if it can be
// reached and has taken its place or does so now, else this peer.
func (cs *channelState) failover(lost claim) {
	cs.mu.Lock()
	who := cs.successor
	cs.successor = ""
	if cs.claimChanged == nil {
		cs.claimChanged = make(chan struct{})
	}
	turned := cs.claimChanged
	cs.mu.Unlock()
	if who != "" && who != cs.self() && who != lost.home {
		ctx, cancel := context.WithTimeout(cs.space.ctx, rejoinTimeout)
		defer cancel()
		cs.helloAndWait(ctx, who, turned)
	}
	cs.mu.Lock()
	defer cs.unlock()
	if cs.claim == lost && cs.home == nil && !cs.gone {
		cs.takeOver()
	}
}

// helloAndWait says hello to a peer and waits until a better claim is known.
func (cs *channelState) helloAndWait(ctx context.Context, who p2p.ID, turned <-chan struct{}) {
	sn, err := cs.space.dial(ctx, who)
	if err != nil {
		return
	}
	cs.mu.Lock()
	att := cs.attachment(sn)
	if att != nil {
		cs.sendHello(sn, att)
	}
	cs.unlock()
	if att == nil {
		return
	}
	select {
	case <-turned:
	case <-sn.readerDone:
	case <-ctx.Done():
	}
}
