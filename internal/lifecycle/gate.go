// Package lifecycle ends things in order: work that has begun is finished, and
// no work begins after the end.
package lifecycle

import (
	"context"
	"sync"
)

// A Gate counts the work of something that can be closed. Work begins with
// [Gate.Enter] or [Gate.Go] while the gate is open. After [Gate.Close] none
// begins, and [Gate.Wait] returns when all of it has ended. All methods are safe
// for concurrent use. Make one with [NewGate].
type Gate struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

// NewGate returns an open gate.
func NewGate() *Gate {
	g := &Gate{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Enter counts one piece of work, and reports whether the gate is open. If it is,
// the caller calls [Gate.Leave] at the end of the work.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.work.Add(1)
	return true
}

// Leave ends a piece of work that [Gate.Enter] counted.
func (g *Gate) Leave() { g.work.Done() }

// Go runs f in a goroutine of its own, and reports whether the gate is open: if it
// is not, f does not run.
func (g *Gate) Go(f func()) bool {
	if !g.Enter() {
		return false
	}
	go func() {
		defer g.Leave()
		f()
	}()
	return true
}

// Closed reports whether the gate is closed.
func (g *Gate) Closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Context returns a context that ends when the gate is closed.
func (g *Gate) Context() context.Context { return g.ctx }

// Until returns a context that ends with ctx or when the gate is closed. The
// caller calls the function to release what the context holds.
func (g *Gate) Until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(g.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close closes the gate, ends its context, and reports whether it was open. It
// does not wait.
func (g *Gate) Close() bool {
	g.mu.Lock()
	open := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	return open
}

// Wait waits until all work has ended. Call it after [Gate.Close].
func (g *Gate) Wait() { g.work.Wait() }
