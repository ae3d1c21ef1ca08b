package tasklet

import (
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// admit decides whether a tasklet may come here. An attempt of the same source
// that is under way is over then: the source knows that it failed.
func (h *Host) admit(a *arrival) error {
	if err := a.offer.ID.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	for {
		h.mu.Lock()
		before := h.arriving[a.offer.ID]
		if before == nil || before.from != a.from {
			break
		}
		h.mu.Unlock()
		before.cancel()
		select {
		case <-before.done:
		case <-h.ctx.Done():
			return ErrClosed
		}
	}
	stale, err := h.takeUp(a)
	h.mu.Unlock()
	if stale != nil {
		h.dropPartial(stale)
	}
	return err
}

// takeUp makes an attempt that is admitted the host's, with what there is of an
// earlier one of the same tasklet. It returns what there is of another one that
// has the tasklet's ID. The lock is held.
func (h *Host) takeUp(a *arrival) (stale *process, err error) {
	if err := h.admits(a); err != nil {
		return nil, err
	}
	o := &a.offer
	p := h.partials[o.ID]
	delete(h.partials, o.ID)
	if p != nil && (p.program != o.Program || p.origin != o.Origin) {
		stale, p = p, nil
	}
	if p == nil {
		p = h.newProcess(o.ID, work{o.Program, o.Args, o.Function, o.Shape}, o.Origin, time.Time{})
		p.enter()
	}
	if err := p.reserve(o.Memory); err != nil {
		if p.saved != nil { // it stays what it is
			h.partials[o.ID] = p
		} else {
			p.settle()
		}
		return stale, err
	}
	a.process = p
	a.enlist()
	return stale, nil
}

// admits is admit for one attempt. The lock is held.
func (h *Host) admits(a *arrival) error {
	self := h.node.ID()
	own := h.started[a.offer.ID]
	switch {
	case h.closed:
		return ErrClosed
	case own != nil && own.program == a.offer.Program && own.function == a.offer.Function: // it comes home
	case !h.opts.AcceptAny && !slices.Contains(h.opts.Accept, a.from):
		return fmt.Errorf("%w: peer %s does not accept tasklets from peer %s; to allow it, run that peer with --accept %s (Options.Accept)",
			ErrRefused, self, a.from, a.from)
	}
	origin, err := p2p.ParseID(a.offer.Origin)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	case h.node.IsBlocked(origin):
		return fmt.Errorf("%w: peer %s, which started the tasklet, is blocked at peer %s", ErrRefused, origin, self)
	case h.draining:
		return fmt.Errorf("%w: %w", ErrRefused, ErrDraining)
	case a.offer.Memory > h.opts.Limits.Memory:
		return fmt.Errorf("%w: %w", ErrRefused, h.exceeds(LimitMemory, h.opts.Limits.Memory, 0, a.offer.Memory))
	case h.processes[a.offer.ID] != nil || h.arriving[a.offer.ID] != nil:
		return fmt.Errorf("%w: tasklet %s is at peer %s already", ErrRefused, a.offer.ID, self)
	}
	if a.offer.Function != "" {
		if _, err := h.defined(a.offer.Function, a.offer.Shape); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	if h.partials[a.offer.ID] != nil {
		return nil // it is charged already
	}
	return h.afford(&a.offer)
}
