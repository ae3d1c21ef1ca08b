package tasklet

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// A data folder that was copied, and put back after a tasklet had left, makes the
// tasklet run a second time. The peer cannot tell that by itself; but the claim of
// whoever has the tasklet has a link that this peer has signed, or the peer that
// started it, and that the copy knows nothing of. When this peer learns of such a
// claim, it ends the copy.

const (
	// staleTimeout is how long a program may take to a safe point when its copy
	// is to end, until that is tried again.
	staleTimeout = 10 * time.Second
	// lookupsAtOnce is how many tasklets are looked for at a time after a start.
	lookupsAtOnce = 4
)

// lookups are when a host looks for newer claims on the tasklets that its journal
// had, after a start, when others are connected.
var lookups = []time.Duration{2 * time.Second, time.Minute, 15 * time.Minute}

// learnClaim takes in a claim that is valid: a tasklet that is here ends if the claim
// proves that it is an old copy.
func (h *Host) learnClaim(id ID, c *Claim) {
	p := h.superseded(id, c)
	if p == nil || !h.enter() {
		return
	}
	go func() {
		defer h.wg.Done()
		for h.ctx.Err() == nil {
			err := h.displace(p, c)
			if err == nil {
				return
			}
			h.log.Error("old copy of a tasklet could not be ended; that is tried again", "tasklet", id, "error", err)
			select {
			case <-time.After(staleTimeout):
			case <-h.ctx.Done():
			}
		}
	}()
}

// superseded returns the process that a claim proves to be an old copy, or nil.
func (h *Host) superseded(id ID, c *Claim) *process {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	if p == nil || p.gone() != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.supersedes(&p.claim, h.node.ID()) {
		return nil
	}
	return p
}

// displace ends an old copy, as if it had been given away when the tasklet was.
func (h *Host) displace(p *process, c *Claim) error {
	holder, seq, err := c.holder(p.id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, staleTimeout)
	defer cancel()
	p.interrupt()
	if err := p.lockOp(ctx); err != nil {
		if p.gone() != nil {
			return nil
		}
		return err
	}
	defer func() { <-p.opLock }()
	if h.superseded(p.id, c) != p {
		return nil
	}
	if p.live() == nil {
		if err := p.engine.pause(ctx); err != nil {
			if p.gone() != nil {
				return nil
			}
			return err
		}
	}
	d := departure{to: holder, hop: Hop{From: h.self, To: holder.String()}, at: h.uptime()}
	err = h.update(func(tx *journal.Tx) error {
		if err := tx.Delete(tableHosted, string(p.id)); err != nil {
			return err
		}
		return put(tx, tableDeparted, string(p.id), &savedDeparture{d.to.String(), d.hop, d.at})
	})
	if err != nil {
		h.log.Error("end of an old copy of a tasklet could not be recorded", "tasklet", p.id, "error", err)
	}
	why := fmt.Errorf("%w: after %d moves peer %s has it, and this peer gave it away before that; "+
		"this copy, which a data folder that was put back had, does not run", ErrStale, seq, holder)
	p.mu.Lock()
	p.left, p.stale, p.exitedAt = &d, why, h.uptime()
	p.mu.Unlock()
	h.mu.Lock()
	h.departed.Add(p.id, d)
	h.mu.Unlock()
	p.leave()
	p.engine.unload()
	if p.saved != nil && p.saved.Pages != "" {
		if err := h.disk.Remove(p.saved.Pages); err != nil {
			h.log.Warn("log of an old copy of a tasklet could not be removed", "tasklet", p.id, "error", err)
		}
	}
	h.log.Error("old copy of a tasklet was ended", "tasklet", p.id, "error", why)
	if own := h.startedHere(p.id); own != nil {
		own.transferred(seq)
		own.located(holder)
		own.startWatching()
	}
	return nil
}

// lookForNewer looks for newer claims on the tasklets that the journal had.
func (h *Host) lookForNewer(restored []ID) {
	for _, wait := range lookups {
		for begun := time.Now(); len(h.node.Peers()) == 0 || time.Since(begun) < wait; {
			select {
			case <-time.After(time.Second):
			case <-h.ctx.Done():
				return
			}
		}
		h.lookForNewerNow(restored)
	}
}

func (h *Host) lookForNewerNow(restored []ID) {
	slots := make(chan struct{}, lookupsAtOnce)
	for _, id := range restored {
		h.mu.Lock()
		p := h.processes[id]
		h.mu.Unlock()
		if p == nil || p.gone() != nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-h.ctx.Done():
			return
		}
		h.wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(h.ctx, stepTimeout)
			defer cancel()
			h.locate(ctx, id) // which learns
		})
	}
	for range lookupsAtOnce {
		slots <- struct{}{}
	}
}

// displaced reports whether the process is an old copy that was ended so long ago.
func (p *process) displaced(age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stale != nil && p.host.older(p.exitedAt, age)
}

// hasLeft reports whether the tasklet went elsewhere.
func (p *process) hasLeft() bool {
	_, left := p.status()
	return left != nil
}
