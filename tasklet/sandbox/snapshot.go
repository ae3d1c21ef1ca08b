package sandbox

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// SnapshotPage is the unit in which a [Snapshot] tells what changed, in bytes.
const SnapshotPage = 4096

// stopPages is how many pages are taken over at one stop of a guest that runs:
// 4 MiB, which take about a millisecond.
const stopPages = 1024

// A Snapshot is a view of a guest's memory which knows what changed since it was
// last brought up to date. Where the operating system tells, it costs little
// memory, and an update the time for what changed: with Linux 6.7 and later it is
// the guest's memory itself; with others a copy, which shares with it all pages
// that have not changed since. Elsewhere it is a plain copy, and an update
// compares.
//
// It belongs to its instance, with which it is closed, and may be used by one
// goroutine at a time; but that AppendPage and Equal may be called meanwhile for
// pages that the update under way has told of.
type Snapshot struct {
	i       *Instance
	shadow  shadow
	size    uint64    // of the memory at the last stop
	again   time.Time // when it may be stopped again
	changed []uint32  // taken over, and not told of yet
}

// A shadow is how a snapshot is kept.
type shadow interface {
	// taken is how many bytes of memory were taken over before.
	taken() uint64
	// dirty returns the pages taken over before that may have changed, in
	// order. The guest may run meanwhile; what it changes then may be missed.
	dirty() ([]uint32, error)
	// take takes over pages, which are in order, and returns those that
	// changed. The guest is stopped.
	take(memory []byte, pages []uint32) ([]uint32, error)
	// extend takes over memory[taken():to], and returns the pages of it that
	// may differ from the program's own memory. The guest is stopped.
	extend(memory []byte, to uint64) ([]uint32, error)
	// page may be called while other pages are taken over. The guest may be
	// writing to it.
	page(n uint32) []byte
	// close is called when the memory is gone.
	close()
}

// Snapshot returns the snapshot of the guest's memory. Before its first update
// it is empty.
func (i *Instance) Snapshot() (*Snapshot, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, ErrClosed
	}
	if i.snap == nil {
		i.snap = &Snapshot{i: i, shadow: newShadow(i.mem, i.code.image)}
	}
	return i.snap, nil
}

// Update brings the snapshot up to date and tells of the pages that may have
// changed since the last successful update, each once: tell is called with the
// numbers of some, in order, and then with those of others; at first, all in all
// with those that may differ from what the program starts with.
//
// A guest that runs is stopped for a millisecond or so at a time, and runs as
// long in between, and while tell is called.
//
// The error is ErrExited, ErrClosed, wraps ErrBusy and the context's, is that of
// tell or the operating system's. What was taken over then, and not told of, is
// told by the next Update.
func (s *Snapshot) Update(ctx context.Context, tell func(pages []uint32) error) error {
	dirty, err := s.shadow.dirty()
	if err != nil {
		if s.i.AtSafePoint(ctx, func([]byte) {}) == ErrClosed {
			return ErrClosed
		}
		return fmt.Errorf("sandbox: snapshot: %w", err)
	}
	for more := true; more; {
		if err := s.tell(tell); err != nil {
			return err
		}
		now := dirty[:min(len(dirty), stopPages)]
		dirty = dirty[len(now):]
		err := s.stop(ctx, func(memory []byte) (changed []uint32, err error) {
			have := s.shadow.taken()
			to := min(uint64(len(memory)), have+uint64(stopPages-len(now))*SnapshotPage)
			more = len(dirty) > 0 || to < uint64(len(memory))
			if len(now) > 0 {
				changed, err = s.shadow.take(memory, now)
			}
			if err != nil || to == have {
				return changed, err
			}
			fresh, err := s.shadow.extend(memory, to)
			return append(changed, fresh...), err
		})
		if err != nil {
			return err
		}
	}
	return s.tell(tell)
}

// tell calls f with the pages that were taken over and not told of, if any.
func (s *Snapshot) tell(f func(pages []uint32) error) error {
	pages := sorted(s.changed)
	s.changed = nil
	if len(pages) == 0 {
		return nil
	}
	return f(pages)
}

// stop stops the guest for f, when it has run as long as the last time.
func (s *Snapshot) stop(ctx context.Context, f func(memory []byte) ([]uint32, error)) error {
	if wait := time.Until(s.again); wait > 0 && s.i.running() {
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // the stop will say so
		}
	}
	var failed error
	err := s.i.AtSafePoint(ctx, func(memory []byte) {
		began := time.Now()
		s.size = uint64(len(memory))
		changed, err := f(memory)
		s.changed = append(s.changed, changed...)
		failed = err
		now := time.Now()
		s.again = now.Add(now.Sub(began))
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("sandbox: snapshot: %w", failed)
	}
	return nil
}

// Size returns how large the memory was at the last update, in bytes.
func (s *Snapshot) Size() uint64 { return s.size }

// AppendPage appends the contents of page n, SnapshotPage bytes, to b. While the
// guest runs they are those of the last update, or of the one under way that has
// told of the page, or anything that the guest made of them since: then the next
// update tells of the page, however much of the change was seen here. Of a guest
// that stood still since the update began they are the memory as it is.
//
//go:norace
func (s *Snapshot) AppendPage(b []byte, n uint32) []byte {
	b = slices.Grow(b, SnapshotPage)
	end := len(b)
	b = b[:end+SnapshotPage]
	*(*[SnapshotPage]byte)(b[end:]) = *(*[SnapshotPage]byte)(s.shadow.page(n))
	return b
}

// Equal reports whether page n is this one, of SnapshotPage bytes; the guest may
// change it as for AppendPage.
//
//go:norace
func (s *Snapshot) Equal(n uint32, page []byte) bool {
	return *(*[SnapshotPage]byte)(s.shadow.page(n)) == *(*[SnapshotPage]byte)(page)
}

// running reports whether the guest runs.
func (i *Instance) running() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.phase == running
}
