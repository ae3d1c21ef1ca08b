package tasklet

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// Decide makes an end of a tasklet's waiting that has come here from a peer
// which does not say any more whether it gave the tasklet up: with run it runs
// here, without it is dropped. It is for an operator who knows that the other
// peer is gone for good, or that it has the tasklet. If the other peer comes
// back and has kept the tasklet, there are two, until the one there hears that
// the peer which started the tasklet has confirmed the one here. That happens when
// the one here is to be moved on, which fails as long as that peer does not answer.
//
// The error wraps [ErrNotFound] if no such tasklet waits here.
func (t *Tasklet) Decide(ctx context.Context, run bool) error {
	h := t.host
	h.mu.Lock()
	a := h.arriving[t.id]
	waits := a != nil && a.prepared
	h.mu.Unlock()
	if !waits {
		return fmt.Errorf("tasklet: decide about %s: %w: it does not wait here for another peer's word", t.id, ErrNotFound)
	}
	select {
	case a.forced <- run:
	default: // somebody else has decided
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waiting tells of a tasklet that waits for its source's word.
func (h *Host) waiting(id ID) (Info, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.arriving[id]
	if a == nil || !a.prepared {
		return Info{}, false
	}
	i := Info{
		ID: id, Program: a.offer.Program, Args: a.offer.Args, Function: a.offer.Function, Origin: a.offer.Origin, Host: h.self,
		State: Prepared, Started: a.since,
		Error: fmt.Sprintf("waits since %s for peer %s to say whether it gave the tasklet up", a.since.Format(time.DateTime), a.from),
	}
	if a.asked != nil {
		i.Error += ": " + publicText(a.asked)
	}
	return i, true
}

// restorePrepared goes on waiting for the source of a tasklet that came before
// this peer was started.
func (h *Host) restorePrepared(p *process) func() {
	from, err := p2p.ParseID(p.saved.Source)
	if err != nil {
		return nil // its entry was checked
	}
	c := &p.saved.Cont
	a := &arrival{
		host: h, from: from, process: p, prepared: true, since: p.saved.At,
		offer: offer{ID: c.ID, Move: p.saved.Move, Program: p.program, Origin: c.Origin, Args: p.args, Function: p.function, Shape: p.shape, Claim: c.Claim},
	}
	a.enlist()
	return func() {
		defer a.leave()
		commit, err := a.ask(nil)
		if commit {
			err = a.run()
		} else {
			a.process.engine.keep(a)
		}
		if err != nil && h.ctx.Err() == nil {
			h.log.Info("tasklet from another peer", "tasklet", p.id, "runs", commit, "reason", err)
		}
	}
}
