package tasklet

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// An incarnation is one run of a host. Two machines with one key are one peer to
// all others, and break each promise of it. A peer that hears of an incarnation
// again after it heard of a later one knows that there are two: a host that is
// started again has a new one, and the former is not heard of any more.
type incarnation [8]byte

func newIncarnation() (i incarnation) {
	rand.Read(i[:])
	return i
}

const (
	// greetPause is how often a host tells others its incarnation, and greeted
	// how many of them.
	greetPause, greeted = time.Minute, 8
	// maxIncarnations is how many of one peer are remembered.
	maxIncarnations = 8
	// maxHeard is of how many peers they are.
	maxHeard = 4 << 10
)

// noteIncarnation takes in an incarnation that a peer has told, and reports whether there are
// two at once.
func (h *Host) noteIncarnation(peer p2p.ID, i incarnation) (twice bool) {
	if i == (incarnation{}) {
		return false
	}
	h.mu.Lock()
	known, _ := h.incarnations.Get(peer)
	at := slices.Index(known, i)
	if at < 0 || at < len(known)-1 { // not the latest
		known = append(slices.Clone(known), i)
		h.incarnations.Add(peer, known[max(0, len(known)-maxIncarnations):])
	}
	h.mu.Unlock()
	if twice = at >= 0 && at < len(known)-1; twice {
		h.log.Error("two peers run at the same time with the same key; copy no data folder of a peer that goes on", "peer", peer)
	}
	return twice
}

// reportTwin tells the operator that another machine has this peer's key.
func (h *Host) reportTwin(toldBy p2p.ID) {
	h.log.Error("another peer runs with the key of this one: end one of them, and delete its data folder", "peer", toldBy)
}

// greet tells other peers this host's incarnation, until the host is closed.
func (h *Host) greet() {
	ticker := time.NewTicker(greetPause)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.greetNow()
	}
}

func (h *Host) greetNow() {
	peers := h.node.Peers()
	var greeting sync.WaitGroup
	for _, p := range peers[:min(len(peers), greeted)] {
		greeting.Go(func() {
			ctx, cancel := context.WithTimeout(h.ctx, confirmTimeout)
			defer cancel()
			h.ask(ctx, p.ID, &control{Greet: true})
		})
	}
	greeting.Wait()
}
