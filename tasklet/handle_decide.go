package tasklet

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// Decide resolves a move that is stuck: the tasklet is prepared here, but its
// source cannot be asked whether it committed the move. With run, the tasklet runs
// here; without, it is dropped here.
//
// Decide is for an operator who knows that the source is gone for good, or that the
// source kept the tasklet. If the source comes back and did keep it, two peers run
// the tasklet. The one at the source ends when it hears that the peer which started
// the tasklet has confirmed the one here. That happens at the next move from here,
// which fails for as long as that peer does not answer.
//
// The error wraps [ErrNotFound] if no such tasklet waits here.
func (t *Tasklet) Decide(ctx context.Context, run bool) error {
	h := t.host
	h.mu.Lock()
	a := h.incoming[t.id]
	waits := a != nil && a.prepared
	h.mu.Unlock()
	if !waits {
		return fmt.Errorf("tasklet: decide about %s: %w: it does not wait here for another peer's word", t.id, ErrNotFound)
	}
	select {
	case a.decision <- run:
	default: // somebody else has decided
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waiting returns what is known of a tasklet that is prepared here.
func (h *Host) waiting(id ID) (Info, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.incoming[id]
	if a == nil || !a.prepared {
		return Info{}, false
	}
	i := Info{
		ID: id, Program: a.offer.Program, Args: a.offer.Args, Function: a.offer.Function, Origin: a.offer.Origin, Host: h.self,
		State: Prepared, Started: a.preparedAt,
		Error: fmt.Sprintf("waits since %s for peer %s to say whether it gave the tasklet up", a.preparedAt.Format(time.DateTime), a.from),
	}
	if a.askErr != nil {
		i.Error += ": " + publicText(a.askErr)
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
	a := &incomingMove{
		host: h, from: from, process: p, prepared: true, preparedAt: p.saved.At,
		offer: offer{ID: c.ID, Move: p.saved.Move, Program: p.program, Origin: c.Origin, Args: p.args, Function: p.function, Shape: p.shape, Claim: c.Claim},
	}
	a.register()
	return func() {
		defer a.finish()
		commit, err := a.askSource(nil)
		if commit {
			err = a.takeOver()
		} else {
			a.process.engine.keepPartial(a)
		}
		if err != nil && h.ctx.Err() == nil {
			h.log.Info("move that was prepared before the start is resolved", "tasklet", p.id, "runs", commit, "error", err)
		}
	}
}
