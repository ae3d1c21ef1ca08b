package tasklet

import (
	"fmt"
	"time"
)

// admit decides whether a tasklet may come here. What the offer says is proved
// first. An attempt of the same source that is under way is over then: the source
// knows that it failed. So is one of a source that has given the tasklet away
// since, as the claim of this offer proves.
func (h *Host) admit(a *incomingMove) error {
	if err := a.offer.ID.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	if err := a.checkOffer(); err != nil {
		return err
	}
	if old := h.superseded(a.offer.ID, &a.offer.Claim); old != nil {
		if err := h.displace(old, &a.offer.Claim); err != nil {
			return err
		}
	}
	for {
		h.mu.Lock()
		before := h.incoming[a.offer.ID]
		if before == nil || before.from != a.from && !a.offer.Claim.supersedes(&before.offer.Claim, before.from) {
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
	stale, err := h.adoptPartial(a)
	h.mu.Unlock()
	if stale != nil {
		h.dropPartial(stale)
	}
	return err
}

// adoptPartial makes an attempt that is admitted the host's, with what there is of an
// earlier one of the same tasklet. It returns what there is of another one that
// has the tasklet's ID, or was brought by another peer. The lock is held.
func (h *Host) adoptPartial(a *incomingMove) (stale *process, err error) {
	o := &a.offer
	p := h.partials[o.ID]
	if p != nil && (p.program != o.Program || p.origin != o.Origin || p.source != a.from.String()) {
		stale, p = p, nil
	}
	if err := h.checkAdmission(a, p != nil); err != nil {
		return nil, err
	}
	delete(h.partials, o.ID)
	if p == nil {
		p = h.newProcess(o.ID, spec{o.Program, o.Args, o.Function, o.Shape}, o.Origin, time.Time{})
		p.source = a.from.String()
		p.charge()
	}
	if err := p.reserve(o.Memory); err != nil {
		if p.saved != nil { // it stays what it is
			h.partials[o.ID] = p
		} else {
			p.release()
		}
		return stale, err
	}
	a.process = p
	a.register()
	return stale, nil
}

// checkAdmission is admit for one attempt whose offer is proved. Charged says that an
// earlier attempt is charged to its bringer. The lock is held.
func (h *Host) checkAdmission(a *incomingMove, charged bool) error {
	switch {
	case h.closed:
		return ErrClosed
	case h.draining:
		return fmt.Errorf("%w: %w", ErrRefused, ErrDraining)
	case a.offer.Memory > h.opts.Limits.Memory:
		return fmt.Errorf("%w: %w", ErrRefused, h.exceeds(LimitMemory, h.opts.Limits.Memory, 0, a.offer.Memory))
	case h.processes[a.offer.ID] != nil && !h.processes[a.offer.ID].hasLeft() || h.incoming[a.offer.ID] != nil:
		return fmt.Errorf("%w: tasklet %s is at peer %s already", ErrRefused, a.offer.ID, h.self)
	}
	if a.offer.Function != "" {
		if _, err := h.defined(a.offer.Function, a.offer.Shape); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	own := h.started[a.offer.ID] != nil
	if charged {
		return a.checkDiskSpace(0, own)
	}
	if err := a.checkDiskSpace(a.offer.Memory, own); err != nil {
		return err
	}
	return h.checkQuota(&a.offer, h.payers(a.offer.ID, a.offer.Origin, a.from.String()))
}

// payers returns the peers to whose accounts a tasklet is charged: the one that
// brought it here, and the one that started it. A tasklet that was started here
// is charged to nobody. The lock is held.
func (h *Host) payers(id ID, origin, source string) []string {
	switch {
	case source == "" || h.started[id] != nil:
		return nil
	case origin == source || origin == h.self:
		return []string{source}
	}
	return []string{source, origin}
}
