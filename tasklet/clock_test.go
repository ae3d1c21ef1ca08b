package tasklet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// skewed are two hosts with disks, of which the second's clock is ahead.
func skewed(ctx context.Context, t *testing.T, ahead time.Duration) [2]*peer {
	t.Helper()
	hosts := [2]*peer{startAt(t, t.TempDir(), tcp), startAt(t, t.TempDir(), tcp)}
	hosts[1].SetWall(ahead)
	must[p2p.ID](t)(hosts[0].node.Connect(ctx, hosts[1].node.Addrs()[0]))
	return hosts
}

// elapsed waits for a line that the program has just written, and returns what
// its clock says. When it wrote the line is known to some 20 ms.
func elapsed(ctx context.Context, t *testing.T, tl *tasklet.Tasklet) (its time.Duration, at time.Time) {
	t.Helper()
	lines := strings.Count(output(t, tl), "\n")
	var text string
	eventually(ctx, t, "a line more", func() bool {
		text = output(t, tl)
		return strings.Count(text, "\n") > lines+1
	})
	at = time.Now()
	last := text[:strings.LastIndexByte(text, '\n')]
	last = last[strings.LastIndexByte(last, '\n')+1:]
	return time.Duration(number(t, last, "elapsed")) * time.Millisecond, at
}

// The monotonic clock of a program goes on as if the program had not moved,
// whatever the clocks of its hosts say and however long each step takes: timers
// fire on time, and nothing adds up over many moves.
func TestClockOverMoves(t *testing.T) {
	const wait, tolerance = 4 * time.Second, 200 * time.Millisecond
	for _, test := range []struct {
		ahead time.Duration // of the second host's clock
		moves int
		step  time.Duration // how long each step of a move takes besides
	}{
		{45 * time.Minute, 20, 0},
		{-45 * time.Minute, 4, tolerance},
	} {
		t.Run(test.ahead.String(), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, patience)
			hosts := skewed(ctx, t, test.ahead)
			for _, h := range hosts {
				h.OnStep(func(string) { time.Sleep(test.step) })
			}
			tl := spawn(ctx, t, hosts[0], "zoo", "elapsed", wait.String())
			its, at := elapsed(ctx, t, tl)
			began := at.Add(-its) // the program's start, by this process's clock
			for n := range test.moves {
				if err := tl.Move(ctx, hosts[(n+1)%2].id()); err != nil {
					t.Fatal(err)
				}
			}
			its, at = elapsed(ctx, t, tl)
			drift := its - at.Sub(began)
			t.Logf("after %d moves in %v the program's clock is %v ahead", test.moves, at.Sub(began), drift)
			if drift.Abs() > tolerance {
				t.Error("that is too much")
			}
			var text string
			eventually(ctx, t, "the timer", func() bool {
				text = output(t, tl)
				return strings.Contains(text, "fired")
			})
			fired := time.Duration(number(t, text, "fired")) * time.Millisecond
			if after := time.Since(began); after < wait-tolerance || fired > max(wait, its)+2*time.Second {
				t.Errorf("a timer of %v fired before %v, at %v by the program's clock", wait, after, fired)
			}
			if strings.Contains(text, "backwards") {
				t.Errorf("the clock went backwards: %q", text)
			}
			if err := tl.Kill(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// number returns the number behind a word in a program's output.
func number(t *testing.T, text, word string) (n int64) {
	t.Helper()
	_, rest, _ := strings.Cut(text, word+" ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("%q of %q: %v", word, text, err)
	}
	return n
}
