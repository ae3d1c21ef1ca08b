package network_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dstackless/dstackless/channel/history"
)

var (
	seeds     = flag.Int("seeds", 200, "how many random workloads TestHistories runs")
	firstSeed = flag.Uint64("seed", 0, "the seed of the first workload, 0 for a random one")
	duration  = flag.Duration("for", 0, "how long TestHistories goes on, whatever -seeds says")
	stops     = flag.Bool("stop", false, "TestHistories stops at the first seed that fails")
	patience  = flag.Duration("patience", time.Minute, "how long a workload may take, which takes most of them less than a second")
	lanes     = flag.Int("lanes", 8, "how many workloads TestHistories runs at a time")
)

// TestHistories checks the rules of channels on what random workloads recorded.
// A seed decides over the workload and its faults, not over the network's
// timing: run one that failed a few times, with -seed N -seeds 1 -count 20.
func TestHistories(t *testing.T) {
	start := time.Now()
	from := *firstSeed
	if from == 0 {
		from = rand.Uint64N(1 << 40)
	}
	t.Logf("seeds from %d", from)
	var begun, ended, calls atomic.Uint64
	next := func() (seed uint64, ok bool) {
		n := begun.Add(1) - 1
		switch {
		case *stops && t.Failed():
			return 0, false
		case *duration > 0:
			return from + n, time.Since(start) < *duration
		}
		return from + n, n < uint64(*seeds)
	}
	var all sync.WaitGroup
	for range *lanes {
		all.Go(func() {
			st, err := newStage(t.Context(), 4)
			defer st.close()
			if err != nil {
				t.Error(err)
				return
			}
			for seed, ok := next(); ok; seed, ok = next() {
				w := newWorkload(seed)
				w.check(t, w.run(t.Context(), st))
				calls.Add(uint64(len(w.h.Calls())))
				ended.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	t.Logf("%d seeds, %d calls in %v: %.1f seeds per second",
		ended.Load(), calls.Load(), took.Round(time.Millisecond), float64(ended.Load())/took.Seconds())
}

// small is how many calls a history has at most that is compared with a model of
// a rendezvous, too.
const small = 100

// check reports what is wrong with a workload that ended with err.
func (w *workload) check(t *testing.T, err error) {
	if err != nil {
		t.Errorf("seed %d: %v", w.seed, err)
	}
	for _, h := range []*history.History[value]{&w.h, &w.aside} {
		bad := h.Violations()
		for _, v := range bad {
			t.Errorf("seed %d: %v", w.seed, v)
		}
		if len(h.Calls()) <= small && linearizable(h.Calls()) == porcupine.Illegal {
			t.Errorf("seed %d: no order of its calls is one of a rendezvous", w.seed)
			bad = append(bad, history.Violation{})
		}
		if bad != nil {
			t.Logf("seed %d: the history:%s", w.seed, story(h))
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("seed %d: %v: %v", w.seed, w, &w.h)
	}
}

// story tells a history, call by call.
func story(h *history.History[value]) (s string) {
	calls := h.Calls()
	for i := range calls {
		c := &calls[i]
		s += fmt.Sprintf("\n%12v %v", c.Start.Sub(calls[0].Start), c)
	}
	return s
}
