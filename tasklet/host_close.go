package tasklet

import (
	"context"
	"sync"
	"time"
)

// Close suspends the tasklets that are here, so that they go on when a host is
// started with the same data folder, or ends them if there is none, and waits
// until all is quiet. It is idempotent.
func (h *Host) Close() error {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	h.mu.Unlock()
	if !first {
		return nil
	}
	h.node.Unhandle(Protocol)
	here := h.all()
	if h.disk != nil {
		h.suspendAll(here)
	}
	h.stop()
	for _, p := range here {
		p.engine.kill(ErrClosed)
	}
	h.wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.release()
}

// suspendAll suspends tasklets because the host is closed. Those that cannot be
// suspended go on from their last record.
func (h *Host) suspendAll(here []*process) {
	ctx, cancel := context.WithTimeout(h.ctx, closeTimeout)
	defer cancel()
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, p := range here {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.interrupt()
			if err := p.suspend(ctx, false); err != nil && p.gone() == nil {
				h.log.Error("tasklet could not be suspended; it will go on from its last checkpoint", "tasklet", p.id, "error", err)
				p.saveReason(err)
			}
		})
	}
	all.Wait()
}

// saveReason adds to the last record of a tasklet why there is no later one, for
// who looks at it after a restart.
func (p *process) saveReason(why error) {
	ctx, cancel := context.WithTimeout(p.host.ctx, reasonTimeout)
	defer cancel()
	if p.lockOp(ctx) != nil {
		return
	}
	defer func() { <-p.opLock }()
	if p.saved == nil || p.live() != nil {
		return
	}
	s, err := p.record()
	if err == nil {
		s.NotSaved = clip(why.Error(), maxText)
		err = p.saveHosted(s)
	}
	if err != nil {
		p.host.log.Error("the reason could not be added to the record", "tasklet", p.id, "error", err)
	}
}

// reasonTimeout is how long Close may take to add the reason to the record of a
// tasklet that could not be suspended.
const reasonTimeout = 10 * time.Second
