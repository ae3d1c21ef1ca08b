package tasklet

import (
	"fmt"
	"slices"

	"github.com/dstackless/dstackless/p2p"
)

// checkOffer checks what an offer says of a tasklet, before anything is done for it.
// The claim must name the peer that makes the offer: so that one has the
// tasklet, or had it and could lie about that in any case, and its ID and origin
// are true. A tasklet that was started here is the one that this peer knows, has
// not ended, and comes with a proof of its key; such a one is always welcome. Any
// other is so if its bringer is.
func (a *incomingMove) checkOffer() error {
	h, o := a.host, &a.offer
	own := h.startedHere(o.ID)
	switch {
	case own != nil:
		if err := own.checkReturn(o, a.from); err != nil {
			return err
		}
	case !h.opts.AcceptAny && !slices.Contains(h.opts.Accept, a.from):
		return fmt.Errorf("%w: peer %s does not accept tasklets from peer %s; to allow it, run that peer with --accept %s (Options.Accept)",
			ErrRefused, h.self, a.from, a.from)
	}
	if to := o.Claim.namedHolder(); to != a.from.String() || o.Claim.Origin != o.Origin {
		return fmt.Errorf("%w: peer %s offers tasklet %s with a claim that names peer %.60q; only the peer that has a tasklet may move it",
			ErrRefused, a.from, o.ID, to)
	}
	if _, _, err := o.Claim.holder(o.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	origin, err := p2p.ParseID(o.Origin)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	if h.node.IsBlocked(origin) {
		return fmt.Errorf("%w: peer %s, which started the tasklet, is blocked at peer %s", ErrRefused, origin, h.self)
	}
	return nil
}

// checkReturn checks the offer of a tasklet that this peer started.
func (r *originEntry) checkReturn(o *offer, from p2p.ID) error {
	self := r.host.node.ID()
	switch {
	case r.exited() != nil:
		return fmt.Errorf("%w: %w: tasklet %s", ErrRefused, ErrExited, o.ID)
	case o.Origin != r.host.self, o.Program != r.program, o.Function != r.function:
		return fmt.Errorf("%w: tasklet %s is another one: peer %s started it", ErrRefused, o.ID, self)
	case !r.key.proves(o.Proof, o.ID, from, self):
		return fmt.Errorf("%w: peer %s does not prove that it has the key of tasklet %s, which was started here", ErrRefused, from, o.ID)
	case o.Claim.seq() < r.transfers():
		return fmt.Errorf("%w: peer %s offers an old copy of tasklet %s, which has moved on since", ErrRefused, from, o.ID)
	}
	return nil
}

// checkContinuation checks that a continuation is the tasklet that was offered.
func (a *incomingMove) checkContinuation(c *Continuation) error {
	o := &a.offer
	same := c.ID == o.ID && c.Program == o.Program && c.Origin == o.Origin && c.Claim.equal(&o.Claim)
	if f := c.Function; f != nil {
		same = same && f.Name == o.Function && f.Shape == o.Shape && f.size() == o.Memory
	} else {
		same = same && o.Function == ""
	}
	if !same {
		return fmt.Errorf("%w: it is not the tasklet that was offered", ErrContinuation)
	}
	if own := a.host.startedHere(o.ID); own != nil && !own.key.is(&c.Key) {
		return fmt.Errorf("%w: its key is not the one that it was started with", ErrContinuation)
	}
	return nil
}

// acceptCommit checks a commit, and makes its claim and its move those of the
// tasklet.
func (a *incomingMove) acceptCommit(hop Hop, c *Claim) error {
	if err := c.extends(&a.offer.Claim, a.offer.ID, a.from, a.host.node.ID()); err != nil {
		return err
	}
	hop.From, hop.To = a.from.String(), a.host.self // whatever the source says
	if err := hop.validate(); err != nil {
		return err
	}
	p := a.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moves, p.claim = appendHop(p.moves, hop), *c
	return nil
}
