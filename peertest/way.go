package peertest

import (
	"sync"
	"time"
)

// A way is one direction of a link: how what one peer says comes to another.
type way struct {
	mu        sync.Mutex
	severed   bool // nothing passes, and whoever tries is told so
	muted     bool // nothing passes, and nobody is told
	latency   time.Duration
	bandwidth int64         // bytes per second, 0 for no limit
	busy      time.Time     // until then it carries what was said before
	packets   []*packet     // on their way
	carrying  bool          // somebody brings them to where they go
	changed   chan struct{} // closed, and replaced, when the way changes
}

func newWay(latency time.Duration, bandwidth int64) *way {
	return &way{latency: latency, bandwidth: bandwidth, changed: make(chan struct{})}
}

// change has f change the way, and wakes whoever waits for that.
func (w *way) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *way) isSevered() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.severed
}

// book takes n bytes and returns when they arrive; the zero time is at once.
func (w *way) book(n int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bookLocked(n)
}

func (w *way) bookLocked(n int) time.Time {
	if w.latency == 0 && w.bandwidth == 0 {
		return time.Time{}
	}
	at := time.Now()
	if w.bandwidth > 0 {
		if w.busy.After(at) {
			at = w.busy
		}
		at = at.Add(time.Duration(n) * time.Second / time.Duration(w.bandwidth))
		w.busy = at
	}
	return at.Add(w.latency)
}

// pass waits until due, and for as long as the way is muted. It reports whether
// the bytes may go on: not when done is closed first.
func (w *way) pass(due time.Time, done <-chan struct{}) bool {
	if wait := time.Until(due); !due.IsZero() && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-done:
			return false
		}
	}
	for {
		w.mu.Lock()
		muted, changed := w.muted, w.changed
		w.mu.Unlock()
		if !muted {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// isBlocked reports whether what comes now gets lost, if it is a packet.
func (w *way) isBlocked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.severed || w.muted
}

// isPlain reports whether what comes now arrives now.
func (w *way) isPlain() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latency == 0 && w.bandwidth == 0 && !w.carrying
}

func (w *way) isMuted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.muted
}
