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
		p.release()
		return
	case h.disk != nil && p.saved != nil && p.saved.Pages != "":
		s.Pages = p.saved.Pages
	case h.disk != nil && p.pageLog != nil:
		s.Pages = p.pageLog.Name()
	case h.disk != nil || closing || p.inst == nil || p.inst.Memory() == nil:
		p.engine.unload()
		p.release()
		return
	}
	if h.disk != nil {
		p.engine.unload()
		if err := p.saveHosted(s); err != nil {
			p.release()
			h.log.Warn("partial transfer could not be recorded", "tasklet", p.id, "error", err)
			return
		}
	}
	p.saved = s
	h.mu.Lock()
	h.partials[p.id] = p.process
	h.mu.Unlock()
}

// partialEntry describes what came of the tasklet until now.
func (a *incomingMove) partialEntry() *checkpointEntry {
	return &checkpointEntry{
		Standing: partial, Move: a.offer.Move, Source: a.from.String(), At: time.Now(), Uptime: a.host.uptime(),
		Cont: Continuation{Version: Version, ID: a.offer.ID, Program: a.offer.Program, Origin: a.offer.Origin, Claim: a.offer.Claim},
	}
}

// dropPartial forgets what came of a tasklet. The entry of it is replaced or
// removed by the caller.
func (h *Host) dropPartial(p *process) {
	p.engine.unload()
	p.release()
	if h.disk == nil || p.saved.Pages == "" {
		return
	}
	if err := h.disk.Remove(p.saved.Pages); err != nil {
		h.log.Warn("partial transfer could not be removed", "tasklet", p.id, "error", err)
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
		h.log.Warn("earlier partial transfer cannot be used", "tasklet", p.id, "error", err)
		p.engine.unload()
		if err := errors.Join(h.disk.Remove(p.saved.Pages), p.instantiate(prog)); err != nil {
			return err
		}
	}
	if p.pageLog, err = h.newLog(p.id); err != nil {
		return err
	}
	// If this peer is killed, what came until then is found again.
	s := a.partialEntry()
	s.Pages = p.pageLog.Name()
	return p.saveHosted(s)
}

// reuseMemory makes the memory of an earlier attempt that of this one.
func (p *guest) reuseMemory(prog *compiler.Program) error {
	old, code, book := p.inst, p.code, p.table
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
	p.table = book
	return nil
}

// replayLog fills the sandbox with what a log has.
func (a *incomingMove) replayLog() (err error) {
	h, p := a.host, a.program()
	limit := uint32(min(h.opts.Limits.Memory, 1<<32-1) / pageSize)
	p.pageLog, err = h.disk.Open(p.saved.Pages, -1, limit, func(i uint32, hash pageHash, page []byte) error {
		if end := (uint64(i) + 1) * pageSize; end > uint64(len(p.inst.Memory())) {
			if err := p.inst.Grow(uint32((end + program.PageSize - 1) / program.PageSize)); err != nil {
				return err
			}
		}
		copy(p.inst.Memory()[int(i)*pageSize:], page)
		p.table.set(i, hash)
		return nil
	})
	return err
}
