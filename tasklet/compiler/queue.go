package compiler

import (
	"context"
	"slices"
	"sync"
)

// A queue lets a few compile at a time, and of the programs that one peer brings
// one at a time. Peers take turns, however much each of them brings.
type queue struct {
	mu      sync.Mutex
	free    int
	busy    map[string]bool            // peers for which something is compiled
	waiting map[string][]chan struct{} // by peer, who came first is first
	order   []string                   // the peers in waiting, whose turn is next is first
}

func newQueue(slots int) *queue {
	return &queue{free: slots, busy: map[string]bool{}, waiting: map[string][]chan struct{}{}}
}

// enter waits for the turn of a program that the peer brings. When it returns
// nil, leave must be called.
func (q *queue) enter(ctx context.Context, peer string) error {
	q.mu.Lock()
	turn := make(chan struct{})
	if len(q.waiting[peer]) == 0 {
		q.order = append(q.order, peer)
	}
	q.waiting[peer] = append(q.waiting[peer], turn)
	q.next()
	q.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-turn: // it came in the meantime, and is passed on
		q.release(peer)
	default:
		q.drop(peer, slices.Index(q.waiting[peer], turn))
	}
	return context.Cause(ctx)
}

// leave ends the turn that the peer has.
func (q *queue) leave(peer string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(peer)
}

// release is leave. The lock is held.
func (q *queue) release(peer string) {
	q.free++
	delete(q.busy, peer)
	q.next()
}

// next gives turns to those who wait, as far as there are slots. The lock is
// held.
func (q *queue) next() {
	for i := 0; i < len(q.order) && q.free > 0; {
		peer := q.order[i]
		if q.busy[peer] {
			i++
			continue
		}
		q.free--
		q.busy[peer] = true
		close(q.waiting[peer][0])
		q.drop(peer, 0)
		if at := slices.Index(q.order, peer); at >= 0 { // behind the others
			q.order = append(slices.Delete(q.order, at, at+1), peer)
		}
	}
}

// drop removes one who waits. The lock is held.
func (q *queue) drop(peer string, at int) {
	if left := slices.Delete(q.waiting[peer], at, at+1); len(left) > 0 {
		q.waiting[peer] = left
		return
	}
	delete(q.waiting, peer)
	at = slices.Index(q.order, peer)
	q.order = slices.Delete(q.order, at, at+1)
}
