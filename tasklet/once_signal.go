package tasklet

import "sync"

// A onceSignal is closed once, for all who wait for it. Unlike a channel it costs
// next to nothing until somebody waits: most tasklets are waited for by nobody.
// The zero value has not happened.
type onceSignal struct {
	mu     sync.Mutex
	closed bool
	c      chan struct{} // nil until somebody waits
}

// close ends the waiting of all. It is called once.
func (l *onceSignal) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.c != nil {
		close(l.c)
	}
}

// done returns a channel that is closed by close.
func (l *onceSignal) done() <-chan struct{} {
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
