package tasklet_test

import (
	"math"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet"
)

func TestFlight(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct{ age, held, ago, want time.Duration }{
		{age: 100 * ms, held: 10 * ms, ago: 50 * ms, want: 120 * ms}, // half of a round trip of 40 ms
		{age: 100 * ms, held: 60 * ms, ago: 50 * ms, want: 100 * ms}, // that cannot be
		{age: 100 * ms, held: 0, ago: time.Minute, want: 600 * ms},   // a broken link
		{age: -time.Hour, held: -time.Hour, ago: 40 * ms, want: 20 * ms},
		{age: math.MaxInt64 / 2, held: math.MinInt64, ago: 0, want: math.MaxInt64 / 2},
		{age: math.MaxInt64, held: 0, ago: time.Hour, want: math.MaxInt64},
	} {
		if got := tasklet.Flight(test.age, test.held, test.ago); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
