package tasklet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A lastKnownHost is where a tasklet was found that this peer neither started nor
// hosts.
type lastKnownHost struct {
	at  p2p.ID
	seq uint64
}

// Open returns a handle on the tasklet with that ID, wherever it is: an ID can
// be sent over a channel and opened at another peer. If this peer neither
// started nor hosts the tasklet, its host is found in the DHT, also when the
// peer that started it and all former hosts are gone. The host shows a claim
// that only it can have, see [Claim].
//
// With such a handle the tasklet can be found ([Tasklet.Where]) and waited for.
// To do more, open a [Ref] of it. A function that was never moved is not in the
// DHT: by its ID alone only the peer that started it finds it, and by its Ref any
// peer.
//
// The error wraps [ErrNotFound] if nobody who can be reached has it.
func (h *Host) Open(ctx context.Context, id ID) (*Tasklet, error) {
	if err := id.validate(); err != nil {
		return nil, fmt.Errorf("tasklet: open: %w: %w", ErrNotFound, err)
	}
	t := &Tasklet{id: id, host: h}
	if p, r := t.lookup(); p != nil || r != nil {
		return t, nil
	}
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	if _, err := h.locate(ctx, id); err != nil {
		return nil, fmt.Errorf("tasklet: open %s: %w", id, err)
	}
	return t, nil
}

// key is what the host of a tasklet announces itself under.
func (id ID) key() dht.Key { return dht.KeyOf("tasklet/" + string(id)) }

const (
	// maxSeeking is how many peers are asked at a time that are announced as the
	// host of a tasklet. Those that are gone stay announced for a while.
	maxSeeking = 16
	// settling is how long others may still show a newer claim, when one that
	// has the tasklet by its own claim was found.
	settling = 300 * time.Millisecond
)

// locate finds the host of a tasklet in the DHT.
func (h *Host) locate(ctx context.Context, id ID) (p2p.ID, error) {
	searching, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu     sync.Mutex
		best   lastKnownHost
		asking sync.WaitGroup
		room   = make(chan struct{}, maxSeeking)
	)
	ask := func(peer p2p.ID) {
		defer func() { <-room }()
		asking, cancel := context.WithTimeout(searching, confirmTimeout)
		defer cancel()
		reply, err := h.ask(asking, peer, &control{ID: id, Claim: true})
		if err != nil || reply.Claim == nil {
			return
		}
		host, seq, err := reply.Claim.holder(id)
		if err == nil {
			h.learnClaim(id, reply.Claim)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil || best.at != "" && seq <= best.seq {
			return
		}
		best = lastKnownHost{host, seq}
		if host == peer {
			time.AfterFunc(settling, stop)
		}
	}
	for peer := range h.table.Find(searching, id.key()) {
		select {
		case room <- struct{}{}:
			asking.Go(func() { ask(peer) })
		case <-searching.Done():
		}
	}
	asking.Wait()
	if best.at == "" {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w: nobody who can be reached has it", ErrNotFound)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.lastKnown.Get(id); ok && best.seq < old.seq {
		best = old
	}
	h.lastKnown.Add(id, best)
	return best.at, nil
}

// announce tells the network that this peer has the tasklet, if it has a claim
// that says so. The caller holds opLock.
func (p *process) announce() {
	if p.function != "" && len(p.claim.Links) == 0 {
		return // it was never elsewhere
	}
	host, _, err := p.claim.holder(p.id)
	if err == nil && host == p.host.node.ID() && p.stopAnnouncing == nil {
		p.stopAnnouncing = p.host.table.Announce(p.id.key())
	}
}
