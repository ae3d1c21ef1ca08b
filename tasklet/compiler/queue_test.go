package compiler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/tasklet/compiler"
)

// A peer that brings a hundred slow programs keeps another waiting for no more
// than one of them, and never has two turns.
func TestQueueIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := compiler.NewQueue(1)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		bring := func(peer string) {
			all.Go(func() {
				if err := q.Enter(t.Context(), peer); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, peer)
				mu.Unlock()
				time.Sleep(time.Minute)
				q.Leave(peer)
			})
			synctest.Wait()
		}
		for range 100 {
			bring("mallory")
		}
		bring("alice")
		bring("bob")
		bring("alice")
		all.Wait()
		if want := []string{"mallory", "mallory", "alice", "bob", "mallory", "alice", "mallory"}; !slices.Equal(order[:7], want) &&
			!slices.Equal(order[:6], []string{"mallory", "alice", "bob", "mallory", "alice", "mallory"}) {
			t.Errorf("turns were taken in the order %v", order[:8])
		}
		if !q.Empty() {
			t.Error("the queue keeps something")
		}
	})
}

// With two slots, a peer has one of them, whatever it brings.
func TestQueueOneOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := compiler.NewQueue(2)
		if err := q.Enter(t.Context(), "mallory"); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		refused := make(chan error, 1)
		go func() { refused <- q.Enter(ctx, "mallory") }()
		synctest.Wait()
		if err := q.Enter(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		q.Leave("alice")
		cancel(gone)
		if err := <-refused; err != gone {
			t.Errorf("one that waits no more: %v", err)
		}
		q.Leave("mallory")
		if !q.Empty() {
			t.Error("the queue keeps something")
		}
	})
}

// Whoever gives up in the moment of its turn takes no slot along.
func TestQueueGivingUp(t *testing.T) {
	q := compiler.NewQueue(2)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			peer := fmt.Sprint("peer ", i%5)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*100*time.Microsecond)
			defer cancel()
			if q.Enter(ctx, peer) == nil {
				q.Leave(peer)
			}
		})
	}
	all.Wait()
	if !q.Empty() {
		t.Error("the queue keeps something")
	}
	for _, peer := range []string{"alice", "bob"} {
		if err := q.Enter(t.Context(), peer); err != nil {
			t.Error(err)
		}
	}
}
