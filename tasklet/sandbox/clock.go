package sandbox

import (
	"math"
	"time"
)

// A clock is a guest's monotonic clock.
type clock struct {
	base  int64     // what it showed
	since time.Time // then
}

// newClock returns the clock of a program that starts. Zero is avoided because
// the Go runtime takes it for a clock that is not set.
func newClock() clock { return clock{base: 1, since: time.Now()} }

// carriedClock returns the clock of a program that was stopped when its clock
// was mono and the wall clock was wall: it never goes back, and the time
// between is seen as time that passed.
func carriedClock(mono, wall int64) clock {
	now := time.Now()
	mono = max(mono, 1)
	// A state from another machine may say anything; 1/2 of what is left of
	// the clock's range is kept for the program's own life.
	if w := now.UnixNano(); wall > 0 && w > wall {
		mono = min(mono, math.MaxInt64/2-(w-wall)) + (w - wall)
	}
	return clock{base: min(mono, math.MaxInt64/2), since: now}
}

// mono returns the clock's time in nanoseconds.
func (c clock) mono() int64 { return c.base + int64(time.Since(c.since)) }

// read returns the clock's time and the wall clock's.
func (c clock) read() (mono, wall int64) {
	now := time.Now()
	return c.base + int64(now.Sub(c.since)), now.UnixNano()
}
