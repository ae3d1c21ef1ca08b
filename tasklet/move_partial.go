package tasklet

import (
	"errors"
	"time"

	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/program"
)

// keepPartial keeps what came of a tasklet whose transfer broke off or was aborted, so
// that the next attempt need not bring it again: on disk, if there is one, or
// else in memory.
func (p *guest) keepPartial(a *incomingMove) {
	h := a.host
	s := a.partialEntry()
	closing := h.ctx.Err() != nil
	switch {
	case closing && p.saved != nil && p.saved.Standing == prepared:
		p.engine.unload() // the next start goes on asking
		p.settle()
		return
	case h.disk != nil && p.saved != nil && p.saved.Pages != "":
		s.Pages = p.saved.Pages
	case h.disk != nil && p.pages != nil:
		s.Pages = p.pages.Name()
	case h.disk != nil || closing || p.inst == nil || p.inst.Memory() == nil:
		p.engine.unload()
		p.settle()
		return
	}
	if h.disk != nil {
		p.engine.unload()
		if err := p.saveHosted(s); err != nil {
			p.settle()
			h.log.Warn("what came of a tasklet could not be recorded", "tasklet", p.id, "error", err)
			return
		}
	}
	p.saved = s
	h.mu.Lock()
	h.partials[p.id] = p.process
	h.mu.Unlock()
}

// partialEntry describes what came of the tasklet until now.
func (a *incomingMove) partialEntry() *hosted {
	return &hosted{
		Standing: partial, Move: a.offer.Move, Source: a.from.String(), At: time.Now(), Uptime: a.host.uptime(),
		Cont: Continuation{Version: Version, ID: a.offer.ID, Program: a.offer.Program, Origin: a.offer.Origin, Claim: a.offer.Claim},
	}
}

// dropPartial forgets what came of a tasklet. The entry of it is replaced or
// removed by the caller.
func (h *Host) dropPartial(p *process) {
	p.engine.unload()
	p.settle()
	if h.disk == nil || p.saved.Pages == "" {
		return
	}
	if err := h.disk.Remove(p.saved.Pages); err != nil {
		h.log.Warn("what came of a tasklet could not be removed", "tasklet", p.id, "error", err)
	}
}

// openEngine makes the sandbox and the log of an incoming move. In the sandbox is
// what an earlier attempt brought.
func (a *incomingMove) openEngine(prog *compiler.Program) (err error) {
	h, p := a.host, a.program()
	p.args = a.offer.Args
	if p.inst != nil && p.inst.Memory() != nil {
		return p.reuseMemory(prog)
	}
	if err := p.instantiate(prog); err != nil {
		return err
	}
	if h.disk == nil {
		return nil
	}
	if p.saved != nil && p.saved.Pages != "" {
		err := a.replayLog()
		if err == nil {
			return nil
		}
		h.log.Warn("what came of a tasklet before cannot be used", "tasklet", p.id, "error", err)
		p.engine.unload()
		if err := errors.Join(h.disk.Remove(p.saved.Pages), p.instantiate(prog)); err != nil {
			return err
		}
	}
	if p.pages, err = h.newLog(p.id); err != nil {
		return err
	}
	// If this peer is killed, what came until then is found again.
	s := a.partialEntry()
	s.Pages = p.pages.Name()
	return p.saveHosted(s)
}

// reuseMemory makes the memory of an earlier attempt that of this one.
func (p *guest) reuseMemory(prog *compiler.Program) error {
	old, code, book := p.inst, p.code, p.book
	defer code.Release()
	defer old.Close()
	if err := p.instantiate(prog); err != nil {
		return err
	}
	have := old.Memory()
	if err := p.inst.Grow(uint32(len(have) / program.PageSize)); err != nil {
		return err
	}
	// Only what was brought: to read the rest would take memory on both sides.
	memory := p.inst.Memory()
	for _, i := range book.all() {
		copy(memory[int(i)*pageSize:], have[int(i)*pageSize:][:pageSize])
	}
	p.book = book
	return nil
}

// replayLog fills the sandbox with what a log has.
func (a *incomingMove) replayLog() (err error) {
	h, p := a.host, a.program()
	limit := uint32(min(h.opts.Limits.Memory, 1<<32-1) / pageSize)
	p.pages, err = h.disk.Open(p.saved.Pages, -1, limit, func(i uint32, hash pageHash, page []byte) error {
		if end := (uint64(i) + 1) * pageSize; end > uint64(len(p.inst.Memory())) {
			if err := p.inst.Grow(uint32((end + program.PageSize - 1) / program.PageSize)); err != nil {
				return err
			}
		}
		copy(p.inst.Memory()[int(i)*pageSize:], page)
		p.book.set(i, hash)
		return nil
	})
	return err
}
