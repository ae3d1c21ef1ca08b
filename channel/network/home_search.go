package network

import (
	"context"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// searchTime is how long a channel that was opened waits for a home to
	// be found before this peer becomes it.
	searchTime = 2 * time.Second

	// maxDialing is how many peers that are not connected one search for a
	// home asks at a time.
	maxDialing = 512
)

// begin looks for the channel's home, until one of the peers that announced the
// channel's key has told who that is; if there is none, this peer becomes it.
func (cs *channelState) begin() {
	ctx, cancel := context.WithTimeout(cs.space.ctx, searchTime)
	defer cancel()
	cs.mu.Lock()
	if cs.begun || cs.gone {
		cs.mu.Unlock()
		return
	}
	cs.begun, cs.claimed = true, cancel
	claimed := cs.claim.home != ""
	cs.mu.Unlock()
	if !claimed {
		cs.meet(ctx)
	}
	cs.mu.Lock()
	defer cs.unlock()
	cs.claimed = nil
	if cs.claim.home == "" && !cs.gone {
		cs.adopt(claim{1, cs.self()}, nil)
	}
}

// meet says hello to all who announced the channel's key, and waits for their
// answers. Many will be gone, and a liar in the table may name thousands who never
// were: many are dialed at once.
func (cs *channelState) meet(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	room := make(chan struct{}, maxDialing)
	for id := range cs.space.dht.Find(ctx, cs.record) {
		if cs.space.to(id) != nil {
			asked.Go(func() { cs.ask(ctx, id) })
			continue
		}
		select {
		case room <- struct{}{}:
			asked.Go(func() { cs.ask(ctx, id); <-room })
		case <-ctx.Done():
			return
		}
	}
}

// ask says hello to a peer and waits for its answer.
func (cs *channelState) ask(ctx context.Context, id p2p.ID) {
	sn, err := cs.space.dial(ctx, id)
	if err != nil {
		return // a stale record
	}
	cs.mu.Lock()
	att := cs.attachment(sn)
	if att != nil && (!att.helloSent || att.helloClaim != cs.claim) {
		cs.greet(sn, att)
	}
	cs.unlock()
	if att != nil {
		select {
		case <-att.helloAnswered:
		case <-sn.finished:
		case <-ctx.Done():
		}
	}
}
