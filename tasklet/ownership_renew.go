package tasklet

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// renewLinks is the number of transfers from which on a host asks the peer
	// that started a tasklet for a shorter claim before the next move, at each
	// renewEach-th of them.
	renewLinks, renewEach = maxLinks / 2, 16
	// renewTimeout is how long that may take when the move can do without.
	renewTimeout = 2 * time.Second
)

// prepareClaim prepares the claim of a tasklet that is about to move. Each move adds a
// link to the claim, and [maxLinks] are too many. So a long claim is renewed: the
// peer that started the tasklet confirms with one link what all of them say. The
// same mends the claim of a tasklet that an operator has decided about
// ([Tasklet.Decide]), which its source did not pass on.
//
// A move fails if the claim cannot be continued, and its origin does not answer:
// nobody else can prove to the destination who has the tasklet. The caller holds
// opLock.
func (p *process) prepareClaim(ctx context.Context) error {
	c := p.claim
	self := p.host.node.ID()
	holder, seq, err := c.holder(p.id)
	if err != nil {
		return err
	}
	if p.origin == p.host.self && holder != self {
		link, err := p.host.signTransfer(p.id, seq+1, self)
		if err == nil {
			p.setClaim(Claim{Origin: c.Origin, Nonce: c.Nonce, Links: []Link{link}})
		}
		return err
	}
	if p.origin == p.host.self {
		return nil // which passes it on by a single link
	}
	needs := holder != self || len(c.Links) >= maxLinks
	if n := len(c.Links); !needs && (n < renewLinks || n%renewEach != 0) {
		return nil
	}
	limit := renewTimeout
	if needs {
		limit = reachTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch err := p.renew(ctx, c); {
	case err == nil || !needs:
		return nil
	case holder != self:
		return fmt.Errorf("%w: tasklet %s came here by its operator's decision; it can move on when peer %s, which started it, confirms that: %w",
			ErrRefused, p.id, p.origin, err)
	default:
		return fmt.Errorf("%w: tasklet %s has made %d moves without the peer that started it, %s, which must be reached before the next one: %w",
			ErrRefused, p.id, maxLinks, p.origin, err)
	}
}

// renew gets a claim of one link.
func (p *process) renew(ctx context.Context, c Claim) error {
	h := p.host
	origin, err := p2p.ParseID(p.origin)
	if err != nil {
		return err
	}
	r, err := h.ask(ctx, origin, &control{ID: p.id, Renew: &c, Proof: p.key.proof(p.id, h.node.ID(), origin)})
	if err != nil {
		return err
	}
	if r.Claim == nil {
		return fmt.Errorf("%w: no claim", ErrContinuation)
	}
	switch holder, seq, err := r.Claim.holder(p.id); {
	case err != nil:
		return err
	case holder != h.node.ID() || seq < c.seq() || len(r.Claim.Links) != 1:
		return fmt.Errorf("%w: the claim that peer %s made is not this peer's", ErrContinuation, p.origin)
	}
	p.setClaim(*r.Claim)
	return nil
}

// setClaim makes a claim that names this peer the tasklet's.
func (p *process) setClaim(c Claim) {
	p.mu.Lock()
	p.claim = c
	p.mu.Unlock()
	p.announce()
}

// serveRenewal serves a renewal: it makes a claim of one link of one that ends at the
// peer that asks. Who has the tasklet's key may also ask on the ground of a claim
// that ends at a peer which is gone; that is a transfer.
func (h *Host) serveRenewal(q *control, from p2p.ID) (*reply, error) {
	c := q.Renew
	if c.Origin != h.self {
		return nil, fmt.Errorf("%w: peer %s did not start %s", ErrNotFound, h.self, q.ID)
	}
	h.mu.Lock()
	r, p := h.started[q.ID], h.processes[q.ID]
	h.mu.Unlock()
	transfer := c.namedHolder() != from.String()
	switch {
	case r != nil && r.exited() != nil:
		return nil, ErrExited
	case transfer && (r == nil || p != nil && p.gone() == nil || !r.key.proves(q.Proof, q.ID, from, h.node.ID())):
		return nil, refused(q.ID)
	}
	_, seq, err := c.holder(q.ID)
	if err != nil {
		return nil, err
	}
	if transfer {
		seq++
	}
	if seq == 0 {
		return nil, fmt.Errorf("%w: tasklet %s has not moved", ErrContinuation, q.ID)
	}
	link, err := h.signTransfer(q.ID, seq, from)
	if err != nil {
		return nil, err
	}
	if transfer {
		r.transferred(seq)
		r.located(from)
	}
	return &reply{Claim: &Claim{Origin: c.Origin, Nonce: c.Nonce, Links: []Link{link}}}, nil
}
