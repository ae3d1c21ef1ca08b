package compiler

import (
	"context"
	"sync"
)

// locks are mutexes by name, which exist as long as somebody has or wants them.
type locks struct {
	mu    sync.Mutex
	named map[string]*lock
}

type lock struct {
	held  chan struct{} // has an element while it is held
	users int
}

// lock waits for the mutex of that name until ctx ends.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	one := l.named[name]
	if one == nil {
		one = &lock{held: make(chan struct{}, 1)}
		l.named[name] = one
	}
	one.users++
	l.mu.Unlock()
	done := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.named, name)
		}
	}
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; done() }, nil
	case <-ctx.Done():
		done()
		return nil, context.Cause(ctx)
	}
}
