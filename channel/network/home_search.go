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
func (m *member) begin() {
	ctx, cancel := context.WithTimeout(m.space.ctx, searchTime)
	defer cancel()
	m.mu.Lock()
	if m.begun || m.gone {
		m.mu.Unlock()
		return
	}
	m.begun, m.claimed = true, cancel
	claimed := m.claim.home != ""
	m.mu.Unlock()
	if !claimed {
		m.meet(ctx)
	}
	m.mu.Lock()
	defer m.unlock()
	m.claimed = nil
	if m.claim.home == "" && !m.gone {
		m.adopt(claim{1, m.self()}, nil)
	}
}

// meet says hello to all who announced the channel's key, and waits for their
// answers. Many will be gone, and a liar in the table may name thousands who never
// were: many are dialed at once.
func (m *member) meet(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	room := make(chan struct{}, maxDialing)
	for id := range m.space.dht.Find(ctx, m.record) {
		if m.space.to(id) != nil {
			asked.Go(func() { m.ask(ctx, id) })
			continue
		}
		select {
		case room <- struct{}{}:
			asked.Go(func() { m.ask(ctx, id); <-room })
		case <-ctx.Done():
			return
		}
	}
}

// ask says hello to a peer and waits for its answer.
func (m *member) ask(ctx context.Context, id p2p.ID) {
	sn, err := m.space.dial(ctx, id)
	if err != nil {
		return // a stale record
	}
	m.mu.Lock()
	t := m.tie(sn)
	if t != nil && (!t.said || t.claim != m.claim) {
		m.greet(sn, t)
	}
	m.unlock()
	if t != nil {
		select {
		case <-t.heard:
		case <-sn.finished:
		case <-ctx.Done():
		}
	}
}
