package tasklet

import "sync"

// A latch is closed once, for all who wait for it. Unlike a channel it costs
// next to nothing until somebody waits: most tasklets are waited for by nobody.
// The zero latch is open.
type latch struct {
	mu     sync.Mutex
	closed bool
	c      chan struct{} // nil until somebody waits
}

// close closes the latch, which must be open.
func (l *latch) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.c != nil {
		close(l.c)
	}
}

// done returns a channel that is closed when the latch is.
func (l *latch) done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c == nil {
		l.c = make(chan struct{})
		if l.closed {
			close(l.c)
		}
	}
	return l.c
}
