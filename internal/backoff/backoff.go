// Package backoff says how long to wait before something is tried again.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Backoff is a series of waits that begins with First and doubles up to Max.
// Each wait is made longer by a random part of up to a quarter, so that those who
// failed together do not try again together. It belongs to one goroutine.
type Backoff struct {
	First, Max time.Duration

	next time.Duration
}

// Next returns the next wait.
func (b *Backoff) Next() time.Duration {
	wait := min(max(b.next, b.First), b.Max)
	b.next = min(2*wait, b.Max)
	return wait + rand.N(wait/4+1)
}

// Reset makes First the next wait.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for as long as the next wait, and reports whether ctx still stands.
func (b *Backoff) Wait(ctx context.Context) bool {
	timer := time.NewTimer(b.Next())
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
