package sandbox_test

import (
	"math"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// What a state says of its clock is brought up to date by the clock of one host,
// or by what is known better, and never back.
func TestStateCatchesUp(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	const second = int64(time.Second)
	for _, test := range []struct {
		what       string
		mono, wall int64
		passed     time.Duration
		want       int64
	}{
		{"kept by this host for a minute", 5 * second, noon.Add(-time.Minute).UnixNano(), 0, 65 * second},
		{"kept by this host, whose clock was set back", 5 * second, noon.Add(time.Hour).UnixNano(), 0, 5 * second},
		{"of another host", 5 * second, 0, 0, 5 * second},
		{"longer than this host knows", 5 * second, noon.Add(-time.Second).UnixNano(), 3 * time.Second, 8 * second},
		{"shorter than this host knows", 5 * second, noon.Add(-time.Minute).UnixNano(), 3 * time.Second, 65 * second},
		{"negative", 5 * second, 0, -time.Hour, 5 * second},
		{"absurd", math.MaxInt64 - 1, 0, math.MaxInt64, math.MaxInt64},
	} {
		s := sandbox.State{Mono: test.mono, Wall: test.wall}
		s.CatchUp(test.passed, noon)
		if s.Mono != test.want || s.Wall != noon.UnixNano() {
			t.Errorf("%s: mono %v, wall %v; want %v at noon", test.what, time.Duration(s.Mono), time.Unix(0, s.Wall), time.Duration(test.want))
		}
	}
}

// A guest that was on its way catches up with the time that passed, at once and
// not backwards.
func TestCatchUp(t *testing.T) {
	i, _ := resting(t, "1h")
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	s, err := i.State()
	if err != nil {
		t.Fatal(err)
	}
	if age := i.Age(&s); age <= 0 || age > time.Minute {
		t.Errorf("taken %v ago", age)
	}
	var out output
	next := move(t, guest(t, "sleep"), i, sandbox.Config{Output: out.write}, func(s *sandbox.State) { s.Wall = 0 })
	for _, passed := range []time.Duration{time.Minute, time.Second, -time.Hour, math.MaxInt64} {
		if err := next.Pause(within(t)); err != nil {
			t.Fatal(err)
		}
		next.CatchUp(passed)
		now, err := next.State()
		if err != nil {
			t.Fatal(err)
		}
		if got := now.Mono - s.Mono; got < int64(min(passed, math.MaxInt64/4)) || passed < time.Hour && got > int64(2*time.Minute) {
			t.Errorf("%v later the clock shows %v more", passed, time.Duration(got))
		}
	}
	if err := next.Continue(); err != nil {
		t.Fatal(err)
	}
	if status, err := wait(t, next); status != 0 || err != nil {
		t.Errorf("status %d, %v, output %q", status, err, &out)
	}
}
