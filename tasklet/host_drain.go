package tasklet

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/p2p"
)

// Drain moves the tasklets that run here to other peers, and takes no new ones
// any more, until the host is closed: what one does before a machine is taken
// down for long. The tasklets are dealt out to peers in turn; one that a peer
// refuses is offered to the next. Without peers, those that are connected are
// asked.
//
// It returns the tasklets that have moved. The error tells of those that have
// not, each with the reason; they go on here, and Drain can be called again.
// Suspended tasklets stay suspended, and here.
func (h *Host) Drain(ctx context.Context, peers ...p2p.ID) (moved []ID, err error) {
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	if len(peers) == 0 {
		for _, p := range h.node.Peers() {
			peers = append(peers, p.ID)
		}
	}
	if len(peers) == 0 {
		return nil, errors.New("tasklet: drain: no other peer is connected")
	}
	var failed []error
	for _, p := range h.all() {
		if p.gone() != nil || p.suspended() {
			continue
		}
		err := h.hand(ctx, p, peers, len(moved))
		if err != nil && p.gone() == nil {
			failed = append(failed, fmt.Errorf("tasklet %s stays: %w", p.id, err))
			continue
		}
		if _, left := p.status(); left != nil {
			moved = append(moved, p.id)
		}
	}
	return moved, errors.Join(failed...)
}

// hand moves p to the first of peers that takes it, beginning with number first.
func (h *Host) hand(ctx context.Context, p *process, peers []p2p.ID, first int) error {
	var refused []error
	for n := range peers {
		to := peers[(first+n)%len(peers)]
		err := h.moveTo(ctx, p, to, 0)
		if err == nil || p.gone() != nil || ctx.Err() != nil {
			return err
		}
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// drained reports whether the host takes no new tasklets.
func (h *Host) drained() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}
