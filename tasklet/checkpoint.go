package tasklet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// refresh takes over what changed in the memory of a tasklet since the last
// time, and calls tell with lists of it, without hashes, in parts. What it lists
// can be looked at in the snapshot while it goes on. The caller holds opLock.
func (g *guest) refresh(ctx context.Context, tell func(*PageList) error) (*sandbox.Snapshot, error) {
	snap, err := g.inst.Snapshot()
	if err != nil {
		return nil, err
	}
	return snap, snap.Update(ctx, func(pages []uint32) error {
		list := g.table.update(snap, pages)
		if g.host.disk != nil {
			for _, i := range list.Index {
				g.unsaved[i] = struct{}{}
			}
		}
		return tell(list)
	})
}

// changes is refresh, with one list of all.
func (g *guest) changes(ctx context.Context) (*PageList, *sandbox.Snapshot, error) {
	all := new(PageList)
	snap, err := g.refresh(ctx, func(list *PageList) error {
		all.Index = append(all.Index, list.Index...)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	g.table.resize(snap.Size())
	slices.Sort(all.Index)
	all.Index, all.Size = slices.Compact(all.Index), g.table.size // twice, if an update had failed
	return all, snap, nil
}

// logged adds to the tasklet's log on disk what changed since it was last added
// to. A log of which most is out of date is replaced. The caller holds opLock.
// What a running program makes of a page meanwhile is for the next time: the
// page is logged, under its hash, as it is copied.
func (g *guest) logged(snap *sandbox.Snapshot) error {
	live := int64(g.table.differ)
	if g.pageLog == nil || g.pageLog.Records()+int64(len(g.unsaved)) > 2*live+spareLogRecords {
		fresh, err := g.host.newLog(g.id)
		if err != nil {
			return err
		}
		g.closePages()
		g.pageLog = fresh
		for _, i := range g.table.all() {
			g.unsaved[i] = struct{}{}
		}
	}
	if err := g.holdLog(len(g.unsaved)); err != nil {
		return err
	}
	if err := g.writeLog(snap); err != nil {
		g.dropLog()
		return err
	}
	clear(g.unsaved)
	return nil
}

// writeLog adds to the log what it does not have.
func (g *guest) writeLog(snap *sandbox.Snapshot) error {
	pages, copies := slices.Sorted(maps.Keys(g.unsaved)), []byte(nil)
	for some := range slices.Chunk(pages, pageListPages) {
		copies = copies[:0]
		for _, i := range some {
			copies = snap.AppendPage(copies, i)
			g.table.hashes[i] = pageHash{} // it may have been another's
		}
		g.table.hashPages(some, func(b []byte, i uint32) []byte {
			n, _ := slices.BinarySearch(some, i)
			return append(b, copies[n*pageSize:][:pageSize]...)
		})
		for n, i := range some {
			if err := g.pageLog.Append(i, g.table.hashes[i], copies[n*pageSize:][:pageSize]); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropLog gives back what a log that could not be written took on the disk, but
// for what the tasklet's last record speaks of. The next log begins anew.
func (g *guest) dropLog() {
	name := g.pageLog.Name()
	g.closePages()
	var err error
	if g.saved != nil && g.saved.Pages == name {
		err = g.host.disk.Truncate(name, g.saved.Length)
	} else {
		err = g.host.disk.Remove(name)
	}
	if err != nil {
		g.host.log.Warn("a log that is of no use could not be removed", "tasklet", g.id, "error", err)
	}
}

// holdLog charges the log, and pages that are about to be added to it.
func (g *guest) holdLog(pages int) error {
	return g.hold(heldLog, uint64(g.pageLog.Records()+int64(pages))*journal.RecordSize)
}

// newLog makes a log for the memory of a tasklet. Logs that no entry speaks of
// are removed at the next start, or when their successor is recorded.
func (h *Host) newLog(id ID) (*journal.Pages, error) {
	var b [8]byte
	rand.Read(b[:])
	return h.disk.Create(string(id) + "-" + hex.EncodeToString(b[:]))
}

// checkpoint records the tasklet on disk as it is, and lets it go on. After a
// crash it goes on from there. The program stands still while the last pages
// that changed are copied, and not while they are written. The caller holds
// opLock.
func (p *process) checkpoint(ctx context.Context) error {
	if err := p.live(); err != nil {
		return err
	}
	err := p.saveRunning(ctx)
	p.noteSaved(ctx, err)
	return err
}

func (p *process) saveRunning(ctx context.Context) error {
	if err := p.engine.approach(ctx); err != nil {
		return err
	}
	if err := p.engine.pause(ctx); err != nil {
		return err
	}
	s, err := p.engine.snapshot(ctx, running)
	if e := p.engine.proceed(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return p.save(s)
}

// approach adds memory to the log while the tasklet runs, until little is left.
func (g *guest) approach(ctx context.Context) error {
	last := uint64(1 << 63)
	for range precopyRoundsMax {
		list, snap, err := g.changes(ctx)
		if err != nil {
			return err
		}
		if err := g.logged(snap); err != nil {
			return err
		}
		if n := list.bytes(); n <= precopyDoneBytes || n > last/2 {
			return nil
		} else {
			last = n
		}
	}
	return nil
}

// snapshot describes a tasklet that stands still, whose last pages it adds to
// the log.
func (g *guest) snapshot(ctx context.Context, as phase) (*checkpointEntry, error) {
	c, _, snap, err := g.continuation(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.logged(snap); err != nil {
		return nil, err
	}
	c.Memory = PageList{Size: g.table.size}
	return &checkpointEntry{Standing: as, Cont: *c, Move: g.moveID, Pages: g.pageLog.Name()}, nil
}

// continuation describes a tasklet that stands still, but for its memory, of
// which it lists what changed.
func (g *guest) continuation(ctx context.Context) (*Continuation, *PageList, *sandbox.Snapshot, error) {
	list, snap, err := g.changes(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	state, err := g.inst.State()
	if err != nil {
		return nil, nil, nil, err
	}
	c := g.outline()
	c.State, c.Mover = state, g.selfMoveCall
	return c, list, snap, nil
}

// save brings a description to the disk, and removes the log of the one before
// if it has another. The caller holds opLock.
func (p *process) save(s *checkpointEntry) error {
	if err := p.engine.sync(s); err != nil {
		return err
	}
	before := p.saved
	if err := p.saveHosted(s); err != nil {
		return err
	}
	if before != nil && before.Pages != "" && before.Pages != s.Pages {
		return p.host.disk.Remove(before.Pages)
	}
	return nil
}

// noteSaved notes whether the tasklet could be recorded on disk. If the attempt
// was given up, or the tasklet has ended, that is no news.
func (p *process) noteSaved(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, sandbox.ErrExited) || errors.Is(err, sandbox.ErrClosed) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notSaved = ""
	if err != nil {
		p.notSaved = clip(err.Error(), maxText)
	}
}

// checkpoints records all tasklets that run here from time to time.
func (h *Host) checkpoints(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		if err := h.disk.Reserve(); err != nil {
			h.log.Warn("no room is reserved on the disk for the records of tasklets that leave", "error", err)
		}
		for _, p := range h.all() {
			if err := p.checkpointNow(h.ctx); err != nil && h.ctx.Err() == nil && p.gone() == nil && !p.suspended() {
				h.log.Warn("checkpoint failed", "tasklet", p.id, "error", err)
			}
		}
	}
}

// checkpointNow makes a checkpoint unless the tasklet is suspended or leaving.
func (p *process) checkpointNow(ctx context.Context) error {
	if err := p.lockOp(ctx); err != nil {
		return err
	}
	defer func() { <-p.opLock }()
	return p.checkpoint(ctx)
}

// all returns the tasklets that are here.
func (h *Host) all() (here []*process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		here = append(here, p)
	}
	return here
}

// Checkpoint records the tasklet on disk as it is, if it runs at this peer:
// after a crash of the peer it goes on from there, and repeats what it did
// since. The error wraps [ErrNoDisk] if the peer has no data folder.
func (t *Tasklet) Checkpoint(ctx context.Context) error {
	p, _ := t.lookup()
	switch {
	case t.host.disk == nil:
		return fmt.Errorf("tasklet: checkpoint of %s: %w", t.id, ErrNoDisk)
	case p == nil:
		return fmt.Errorf("tasklet: checkpoint of %s: %w here", t.id, ErrNotFound)
	}
	if err := p.checkpointNow(ctx); err != nil {
		return fmt.Errorf("tasklet: checkpoint of %s: %w", t.id, err)
	}
	return nil
}
