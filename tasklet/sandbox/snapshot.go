package sandbox

import (
	"context"
	"fmt"
	"time"
)

// SnapshotPage is the unit in which a [Snapshot] tells what changed, in bytes.
const SnapshotPage = 4096

// stopPages is how many pages are taken over at one stop of a guest that runs:
// 4 MiB, which take about a millisecond.
const stopPages = 1024

// A Snapshot is a copy of a guest's memory which knows what changed since it
// was last brought up to date. Where the operating system tells (Linux), guest
// and snapshot share all pages that have not changed since, so that a snapshot
// costs little memory, and an update the time for what changed. Elsewhere it is
// a plain copy, and an update compares.
//
// It belongs to its instance, with which it is closed, and may be used by one
// goroutine at a time; but that Page may be called meanwhile for pages that the
// update under way has told of.
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
	// page may be called while other pages are taken over.
	page(n uint32) []byte
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
// long in between, and while tell is called. What results is then not its memory
// at any one moment, but each page as it was at some moment of the update. Of a
// guest that is paused it is the memory as it is.
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

// Page returns the contents of page n as of the last update, or of the one under
// way that has told of it. They are valid, and must not be changed, until the
// next update or the end of the instance.
func (s *Snapshot) Page(n uint32) []byte { return s.shadow.page(n) }

// running reports whether the guest runs.
func (i *Instance) running() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.phase == running
}
