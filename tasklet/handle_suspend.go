package tasklet

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// Suspend stops the tasklet, wherever it runs, and puts it on that peer's disk,
// where it needs no memory. It stays there, also when the peer is started again,
// until [Tasklet.Resume]. Its operations on channels are withdrawn and made
// again when it goes on, as in a move; the time until then passes for its timers,
// its clocks and the deadlines of its contexts. That time is told by the wall
// clock of the peer that has it: if that clock is set forward or back meanwhile,
// the program takes it for time that passed, or did not.
//
// Suspending a suspended tasklet does nothing. The error wraps [ErrNoDisk] if
// the peer that hosts it has no data folder, and [ErrExited] if it has exited. After
// an error the tasklet goes on: also when its state cannot be encoded and read
// back, which the error says.
func (t *Tasklet) Suspend(ctx context.Context) error {
	if _, err := t.control(ctx, control{Suspend: true}); err != nil {
		return fmt.Errorf("tasklet: suspend %s: %w", t.id, err)
	}
	return nil
}

// Resume makes a suspended tasklet go on, exactly where it was, and returns when
// it does. Resuming a tasklet that runs does nothing. The error wraps
// [ErrExited] if it has exited.
func (t *Tasklet) Resume(ctx context.Context) error {
	if _, err := t.control(ctx, control{Resume: true}); err != nil {
		return fmt.Errorf("tasklet: resume %s: %w", t.id, err)
	}
	return nil
}

// suspend puts the tasklet on disk. One that is parked stays there when the
// host starts again.
func (p *process) suspend(ctx context.Context, parked bool) error {
	if p.host.disk == nil {
		return fmt.Errorf("%w: run peer %s with --data (Options.DataDir)", ErrNoDisk, p.host.node.ID())
	}
	if err := p.lockOp(ctx); err != nil {
		return err
	}
	defer func() { <-p.opLock }()
	if p.live() != nil {
		if !parked || p.saved.Parked {
			return nil
		}
		s, err := p.record()
		if err != nil {
			return err
		}
		s.Parked = true
		return p.saveHosted(s)
	}
	err := p.freezeToDisk(ctx, parked)
	p.noteSaved(ctx, err)
	if errors.Is(err, sandbox.ErrExited) || errors.Is(err, sandbox.ErrClosed) {
		<-p.over.done()
		return p.gone()
	}
	return err
}

// freezeToDisk stops a tasklet that runs and puts it on disk. The caller holds
// opLock. After an error the tasklet goes on.
func (p *process) freezeToDisk(ctx context.Context, parked bool) error {
	if err := p.engine.approach(ctx); err != nil {
		return err
	}
	if err := p.engine.pause(ctx); err != nil {
		return err
	}
	p.engine.withdraw(true)
	s, err := p.engine.snapshot(ctx, suspended)
	if err == nil {
		s.Parked = parked
		err = p.save(s)
	}
	if err != nil {
		return errors.Join(err, p.engine.goOn())
	}
	err = p.engine.unload()
	p.out.Notify()
	p.host.log.Info("tasklet suspended", "tasklet", p.id)
	return err
}

// resume makes the tasklet go on if it is suspended.
func (p *process) resume(ctx context.Context) error {
	if err := p.lockOp(ctx); err != nil {
		return err
	}
	defer func() { <-p.opLock }()
	if !p.suspended() {
		return nil
	}
	return p.wake(ctx)
}

// wake makes a tasklet go on from what the disk has of it. The caller holds
// opLock.
func (p *process) wake(ctx context.Context) error {
	err := p.reload(ctx)
	p.mu.Lock()
	p.resumeErr = err
	p.mu.Unlock()
	if err != nil {
		p.engine.unload()
		return err
	}
	p.out.Notify()
	p.host.log.Info("tasklet resumed", "tasklet", p.id)
	return nil
}

func (p *process) reload(ctx context.Context) error {
	s, err := p.record()
	if err != nil {
		return err
	}
	if err := p.engine.load(ctx, s); err != nil {
		return err
	}
	s.Standing, s.Parked = running, false
	if err := p.saveHosted(s); err != nil {
		return err
	}
	return p.launch()
}

// launch makes a tasklet run that is loaded.
func (p *process) launch() error {
	h := p.host
	if !h.enter() {
		return ErrClosed
	}
	defer h.wg.Done()
	p.announce()
	return p.engine.launch()
}
