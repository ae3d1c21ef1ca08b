package tasklet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// savePrepared brings all of the tasklet to the disk.
func (a *incomingMove) savePrepared(c *Continuation) error {
	if a.host.disk == nil {
		return nil
	}
	cont := *c
	cont.Memory = PageList{Size: c.Memory.Size}
	return a.process.save(&checkpointEntry{
		Standing: prepared, Cont: cont, Pages: a.program().pageLog.Name(), Move: a.offer.Move, Source: a.from.String(),
	})
}

// awaitCommit waits for the source's decision, and asks for it if the link breaks.
func (a *incomingMove) awaitCommit() (run bool, err error) {
	a.conn.within(stepTimeout)
	var c commit
	if err = a.conn.receive(tagCommit, &c); err == nil {
		a.clockReadAt = time.Now().Add(-transitTime(c.Age, c.Held, time.Since(a.preparedAt)))
		if err = a.acceptCommit(c.Hop, &c.Claim); err != nil {
			a.conn.fail(err)
		}
		return err == nil, err
	}
	var told *remoteError
	switch {
	case errors.As(err, &told):
		return false, err
	case errors.Is(err, codec.ErrMalformed): // this peer could not record what it says
		a.conn.fail(err)
		return false, err
	}
	return a.askSource(err)
}

// askSource asks the source for its decision until there is one, or the operator
// takes it.
func (a *incomingMove) askSource(err error) (commit bool, _ error) {
	h := a.host
	for wait := askSourcePause; ; wait = min(2*wait, askSourcePauseMax) {
		ctx, cancel := context.WithTimeout(a.ctx, stepTimeout)
		reply, askErr := h.ask(ctx, a.from, &control{ID: a.offer.ID, Outcome: a.offer.Move})
		cancel()
		if askErr == nil && reply.Outcome != undecided {
			if reply.Outcome != committed {
				return false, err
			}
			if reply.Claim == nil {
				return false, fmt.Errorf("%w: no claim", ErrContinuation)
			}
			a.clockReadAt = time.Now().Add(-reply.Age)
			if bad := a.acceptCommit(reply.Hop, reply.Claim); bad != nil {
				return false, bad
			}
			return true, err
		}
		h.mu.Lock()
		a.askErr = askErr
		h.mu.Unlock()
		h.log.Warn("tasklet is prepared, but its source does not say whether it committed",
			"tasklet", a.offer.ID, "peer", a.from, "error", askErr)
		select {
		case <-time.After(wait):
		case run := <-a.decision:
			return run, errDecided
		case <-a.ctx.Done():
			if h.ctx.Err() != nil {
				return false, ErrClosed
			}
			return false, errRestarted
		}
	}
}

// takeOver makes the tasklet this peer's.
func (a *incomingMove) takeOver() error {
	h, p := a.host, a.process
	p.opLock <- struct{}{} // nobody else has it
	defer func() { <-p.opLock }()
	if p.saved != nil {
		s := *p.saved
		s.Standing, s.Cont.Moves, s.Cont.Claim = running, p.moves, p.claim
		s.Cont.State.CatchUp(since(a.clockReadAt), h.wall())
		err := p.saveHosted(&s, func(tx *journal.Tx) error { return tx.Delete(tableDeparted, string(p.id)) })
		if err != nil {
			// The source has given it up, and this peer's record says that it
			// is prepared: the next start asks again. Until then nobody may hear
			// that it has come, because it was here before.
			h.departed.Remove(p.id)
			p.engine.unload()
			p.release()
			return err
		}
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		p.engine.unload()
		p.release()
		return ErrClosed
	}
	h.processes[p.id] = p
	h.departed.Remove(p.id)
	h.mu.Unlock()
	if own := h.startedHere(p.id); own != nil {
		own.transferred(p.claim.seq())
	}
	p.engine.catchUp(since(a.clockReadAt))
	h.log.Info("tasklet arrived", "tasklet", p.id, "peer", a.from)
	if p.live() != nil { // it was prepared before this peer was started
		return p.wake(h.ctx)
	}
	return p.launch()
}

// awaitIncoming waits until a tasklet that is just coming here has come. It may have
// left again by then.
func (h *Host) awaitIncoming(ctx context.Context, id ID) error {
	h.mu.Lock()
	a, p := h.incoming[id], h.processes[id]
	left := h.departed.Contains(id)
	h.mu.Unlock()
	switch {
	case p != nil, a == nil && left:
		return nil
	case a == nil:
		return fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, id, h.node.ID())
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
