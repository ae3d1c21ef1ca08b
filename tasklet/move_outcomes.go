package tasklet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// The source of a move keeps its outcome from the beginning until it is aborted,
// or the destination has confirmed that it knows of the commit. The outcome of a
// move of which nothing is known is that it was aborted.

// setOutcome notes what becomes of a move.
func (h *Host) setOutcome(id moveID, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moves[id] = o
}

// dropOutcome forgets a move that was aborted and had not been committed.
func (h *Host) dropOutcome(id moveID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.moves, id)
}

// checkOutcomes reports whether there is room for one more outcome. The outcome of a
// move that is not confirmed cannot be forgotten: its destination would hear that
// the move was aborted.
func (h *Host) checkOutcomes(p *process, to p2p.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	all, there, theirs := 0, 0, 0
	for _, o := range h.moves {
		if o.state != committed {
			continue
		}
		all++
		if o.to == to {
			there++
		}
		if o.source == p.source && p.source != "" {
			theirs++
		}
	}
	switch {
	case there >= unconfirmedOfPeerMax:
		return fmt.Errorf("%w: %d moves to peer %s, which has not confirmed that it has the tasklets; connect it, so that it can", ErrLimit, there, to)
	case theirs >= unconfirmedOfPeerMax:
		return fmt.Errorf("%w: %d moves of tasklets that peer %s brought have not been confirmed by their destinations", ErrLimit, theirs, p.source)
	case all >= unconfirmedMax:
		return fmt.Errorf("%w: %d moves have not been confirmed by their destinations", ErrLimit, all)
	}
	return nil
}

// confirmed forgets the outcome of a move whose destination knows of the commit.
func (h *Host) confirmed(id moveID) {
	h.dropOutcome(id)
	err := h.update(func(tx *journal.Tx) error { return tx.Delete(tableMoves, id.String()) })
	if err != nil {
		h.log.Warn("outcome of a move could not be removed from the journal", "error", err)
	}
}

// confirm asks the destination, after the link broke, whether the tasklet runs.
func (h *Host) confirm(m *outgoingMove) error {
	ctx, cancel := context.WithTimeout(h.ctx, confirmTimeout)
	defer cancel()
	for wait := askDestPause; ; wait = min(2*wait, askDestPauseMax) {
		_, err := h.ask(ctx, m.to, &control{ID: m.process.id, Confirm: m.id})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w: peer %s: %w", ErrUnconfirmed, m.to, err)
		}
	}
}

// A backoff is when a destination is asked again.
type backoff struct {
	pause time.Duration
	until time.Duration // uptime
}

// confirmations asks the destinations of moves that broke off after the commit
// whether they know of it, until the host is closed.
func (h *Host) confirmations() {
	backoffs := map[p2p.ID]backoff{} // of destinations that have something to confirm
	ticker := time.NewTicker(confirmInterval)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.confirmOpen(backoffs)
	}
}

// confirmOpen asks each destination that is due.
func (h *Host) confirmOpen(backoffs map[p2p.ID]backoff) {
	open := h.unconfirmed()
	var due []p2p.ID
	for to := range backoffs {
		if open[to] == nil {
			delete(backoffs, to)
		}
	}
	for to := range open {
		if backoffs[to].until <= h.uptime() {
			due = append(due, to)
		}
	}
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
		slots  = make(chan struct{}, confirmPeersMax)
	)
	for _, to := range due {
		select {
		case slots <- struct{}{}:
		case <-h.ctx.Done():
		}
		asking.Go(func() {
			defer func() { <-slots }()
			all := h.confirmWith(to, open[to])
			mu.Lock()
			defer mu.Unlock()
			pause := min(max(2*backoffs[to].pause, confirmInterval), confirmIntervalMax)
			backoffs[to] = backoff{pause, h.uptime() + pause}
			if all {
				delete(backoffs, to)
			}
		})
	}
	asking.Wait()
}

// unconfirmed returns the moves that broke off after the commit, by destination.
func (h *Host) unconfirmed() map[p2p.ID][]moveID {
	h.mu.Lock()
	defer h.mu.Unlock()
	open := map[p2p.ID][]moveID{}
	for id, o := range h.moves {
		if o.state == committed && h.older(o.at, confirmTimeout+stepTimeout) {
			open[o.to] = append(open[o.to], id)
		}
	}
	return open
}

// confirmWith asks one destination for all of its moves, until it does not answer,
// and reports whether it has confirmed them all.
func (h *Host) confirmWith(to p2p.ID, moves []moveID) (all bool) {
	all = true
	for _, id := range moves {
		h.mu.Lock()
		o := h.moves[id]
		h.mu.Unlock()
		ctx, cancel := context.WithTimeout(h.ctx, confirmTimeout)
		_, err := h.ask(ctx, to, &control{ID: o.id, Confirm: id})
		cancel()
		switch {
		case err == nil:
			h.confirmed(id)
		case errors.As(err, new(*remoteError)):
			all = false
		default:
			return false
		}
	}
	return all
}
