package tasklet

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// Suspend stops the tasklet, wherever it runs, and puts it on that peer's disk,
// where it needs no memory. It stays there, also when the peer is started again,
// until [Tasklet.Resume]. Its operations on channels are withdrawn and made
// again when it goes on, as in a move; the time until then passes for its timers,
// its clocks and the deadlines of its contexts.
//
// Suspending a suspended tasklet does nothing. The error wraps [ErrNoDisk] if
// the peer that hosts it has no data folder, and [ErrExited] if it has exited.
func (t *Tasklet) Suspend(ctx context.Context) error {
	if err := t.control(ctx, control{ID: t.id, Suspend: true}); err != nil {
		return fmt.Errorf("tasklet: suspend %s: %w", t.id, err)
	}
	return nil
}

// Resume makes a suspended tasklet go on, exactly where it was, and returns when
// it does. Resuming a tasklet that runs does nothing. The error wraps
// [ErrExited] if it has exited.
func (t *Tasklet) Resume(ctx context.Context) error {
	if err := t.control(ctx, control{ID: t.id, Resume: true}); err != nil {
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
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	inst, err := p.live()
	if err != nil { // it is suspended
		if !parked || p.saved.Parked {
			return nil
		}
		s := *p.saved
		s.Parked = true
		return p.saveHosted(&s)
	}
	err = p.layDown(ctx, inst, parked)
	if errors.Is(err, sandbox.ErrExited) || errors.Is(err, sandbox.ErrClosed) {
		<-p.over
		return p.gone()
	}
	return err
}

// layDown stops a tasklet that runs and puts it on disk. The caller has the
// turn. After an error the tasklet goes on.
func (p *process) layDown(ctx context.Context, inst *sandbox.Instance, parked bool) error {
	if err := p.approach(ctx, inst); err != nil {
		return err
	}
	if err := p.pause(ctx, inst); err != nil {
		return err
	}
	p.withdraw(true)
	s, err := p.snapshot(ctx, inst, suspended)
	if err == nil {
		s.Parked = parked
		err = p.save(s)
	}
	if err != nil {
		return errors.Join(err, inst.Continue())
	}
	p.mu.Lock()
	p.inst = nil
	p.mu.Unlock()
	p.leaveChannels()
	p.closePages()
	p.book = ledger{}
	p.out.note()
	p.host.log.Info("tasklet suspended", "tasklet", p.id)
	return inst.Close()
}

// resume makes the tasklet go on if it is suspended.
func (p *process) resume(ctx context.Context) error {
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	if !p.suspended() {
		return nil
	}
	return p.wake(ctx)
}

// wake makes a tasklet go on from what the disk has of it. The caller has the
// turn.
func (p *process) wake(ctx context.Context) error {
	err := p.rise(ctx)
	p.mu.Lock()
	inst := p.inst
	if p.trouble = err; err != nil {
		p.inst = nil
	}
	p.mu.Unlock()
	if err != nil {
		if inst != nil {
			inst.Close()
		}
		p.closePages()
		p.book = ledger{}
		return err
	}
	p.out.note()
	p.host.log.Info("tasklet goes on", "tasklet", p.id)
	return nil
}

func (p *process) rise(ctx context.Context) error {
	h := p.host
	origin, err := p2p.ParseID(p.origin)
	if err != nil {
		return err
	}
	code, err := h.fetch(ctx, p.program, origin)
	if err != nil {
		return err
	}
	if err := p.instantiate(code); err != nil {
		return err
	}
	if p.saved.Pages != "" {
		if err := p.load(p.saved); err != nil {
			return err
		}
	}
	s := *p.saved
	s.Standing, s.Parked = running, false
	if err := p.saveHosted(&s); err != nil {
		return err
	}
	return p.launch()
}

// load fills a new sandbox with what the disk has of the tasklet.
func (p *process) load(s *hosted) (err error) {
	size := s.Cont.Memory.Size
	if err := p.inst.Grow(uint32(size / program.PageSize)); err != nil {
		return err
	}
	memory := p.inst.Memory()
	p.book.resize(uint64(len(memory)))
	p.pages, err = p.host.disk.Open(s.Pages, s.Length, uint32(len(memory)/pageSize), func(i uint32, hash pageHash, page []byte) error {
		copy(memory[int(i)*pageSize:], page)
		p.book.set(i, hash)
		return nil
	})
	if err != nil {
		return err
	}
	return p.inst.Adopt(s.Cont.State)
}

// launch makes a tasklet run that has a sandbox, from its beginning if it has
// not run yet.
func (p *process) launch() error {
	h, inst := p.host, p.inst
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return ErrClosed
	}
	h.wg.Go(func() { p.attend(inst) })
	h.mu.Unlock()
	p.announce()
	err := inst.Continue()
	if errors.Is(err, sandbox.ErrState) { // nothing was restored
		err = inst.Start()
	}
	if err != nil {
		inst.Kill(err)
	}
	return err
}
