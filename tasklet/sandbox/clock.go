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
func newClock() clock { return clockAt(1) }

// clockAt returns a clock that shows mono now. A state from another machine may
// say anything: half of the clock's range is kept for the program's own life.
func clockAt(mono int64) clock {
	return clock{base: min(max(mono, 1), math.MaxInt64/2), since: time.Now()}
}

// mono returns the clock's time in nanoseconds.
func (c clock) mono() int64 { return c.base + int64(time.Since(c.since)) }

// later returns a time that is d after mono, as far as there is such a time. A
// clock never goes back.
func later(mono int64, d time.Duration) int64 {
	if d <= 0 {
		return mono
	}
	return min(mono, math.MaxInt64-int64(d)) + int64(d)
}
