package network

import (
	"context"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// homeSearchTimeout is how long a channel that was opened waits for a home to
	// be found before this peer becomes it.
	homeSearchTimeout = 2 * time.Second

	// maxConcurrentDials is how many peers that are not connected one search for a
	// home asks at a time.
	maxConcurrentDials = 512
)

// findHome looks for the channel's home, until one of the peers that announced the
// channel's key has told who that is; if there is none, this peer becomes it.
func (cs *channelState) findHome() {
	ctx, cancel := context.WithTimeout(cs.space.ctx, homeSearchTimeout)
	defer cancel()
	cs.mu.Lock()
	if cs.begun || cs.gone {
		cs.mu.Unlock()
		return
	}
	cs.begun, cs.onFirstClaim = true, cancel
	claimed := cs.claim.home != ""
	cs.mu.Unlock()
	if !claimed {
		cs.helloProviders(ctx)
	}
	cs.mu.Lock()
	defer cs.unlock()
	cs.onFirstClaim = nil
	if cs.claim.home == "" && !cs.gone {
		cs.adoptClaim(claim{1, cs.self()}, nil)
	}
}

// helloProviders says hello to all who announced the channel's key, and waits for their
// answers. Many will be gone, and a liar in the table may name thousands who never
// were: many are dialed at once.
func (cs *channelState) helloProviders(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	room := make(chan struct{}, maxConcurrentDials)
	for id := range cs.space.dht.Find(ctx, cs.record) {
		if cs.space.sessionTo(id) != nil {
			asked.Go(func() { cs.exchangeHello(ctx, id) })
			continue
		}
		select {
		case room <- struct{}{}:
			asked.Go(func() { cs.exchangeHello(ctx, id); <-room })
		case <-ctx.Done():
			return
		}
	}
}

// exchangeHello says hello to a peer and waits for its answer.
func (cs *channelState) exchangeHello(ctx context.Context, id p2p.ID) {
	sn, err := cs.space.dial(ctx, id)
	if err != nil {
		return // a stale record
	}
	cs.mu.Lock()
	att := cs.attachment(sn)
	if att != nil && (!att.helloSent || att.helloClaim != cs.claim) {
		cs.sendHello(sn, att)
	}
	cs.unlock()
	if att != nil {
		select {
		case <-att.helloAnswered:
		case <-sn.readerDone:
		case <-ctx.Done():
		}
	}
}
