package sandbox_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// rests waits until a guest has waited for so long that it rests.
func rests(t testing.TB, i *sandbox.Instance) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !i.Rests(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("the guest does not rest")
		}
	}
}

// impatient starts a guest that rests as soon as it waits.
func impatient(t testing.TB, cfg sandbox.Config) *sandbox.Instance {
	t.Helper()
	i, err := guest(t, cfg.Args[0]).New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	i.SetPatience(0)
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	return i
}

// resting starts a guest that sleeps, and rests.
func resting(t testing.TB, sleep string) (*sandbox.Instance, *output) {
	t.Helper()
	out := new(output)
	i := impatient(t, sandbox.Config{Args: []string{"sleep", sleep}, Output: out.write})
	out.until(t, "asleep")
	rests(t, i)
	return i, out
}

// slept checks that a guest slept as long as it wanted to.
func slept(t *testing.T, i *sandbox.Instance, out *output) {
	t.Helper()
	if status, err := wait(t, i); status != 0 || err != nil || !strings.HasSuffix(out.String(), "slept true true\n") {
		t.Errorf("status %d, %v, output %q", status, err, out)
	}
}

// A guest that rests goes on when it is due.
func TestRestUntilDue(t *testing.T) {
	i, out := resting(t, "200ms")
	slept(t, i, out)
}

// A guest that rests goes on when it gets a reply, and without an alarm nothing
// else wakes it.
func TestRestUntilReply(t *testing.T) {
	var out output
	calls := make(handler, 10)
	i := impatient(t, sandbox.Config{Args: []string{"raw", "echo"}, Output: out.write, Calls: calls})
	out.until(t, "asked")
	for id := uint64(1); id <= 3; id++ {
		rests(t, i)
		if i.Alarmed() {
			t.Error("a guest that waits for a reply has an alarm")
		}
		i.Reply(id, fmt.Append(nil, "answer ", id))
		out.until(t, fmt.Sprint(id, " answer ", id))
	}
	if status, err := wait(t, i); status != 0 || err != nil {
		t.Errorf("status %d, %v, output %q", status, err, &out)
	}
}

// A wait in which the guest rested, twice, because it was woken for nothing,
// has the result that it would have had.
func TestRestIsNotSeen(t *testing.T) {
	var out output
	calls := make(handler, 1)
	i := impatient(t, sandbox.Config{Args: []string{"waits"}, Output: out.write, Calls: calls})
	for range 3 {
		c := <-calls
		rests(t, i)
		time.Sleep(20 * time.Millisecond) // of the 50 that it waits
		i.Reply(c.ID, nil)
	}
	wait(t, i)
	if got, want := out.String(), "waited 0 1 7 true\nwaited 0 1 7 true\nwaited 0 1 8 true\n"; got != want {
		t.Errorf("output %q; want %q", got, want)
	}
}

// A wait in which the guest was paused ends with nothing, and those that follow
// are as long as they should be.
func TestRestAndPauseIsOver(t *testing.T) {
	var out output
	calls := make(handler, 3)
	i := impatient(t, sandbox.Config{Args: []string{"waits"}, Output: out.write, Calls: calls})
	<-calls
	rests(t, i)
	time.Sleep(20 * time.Millisecond) // of the 50 that it waits
	if err := errors.Join(i.Pause(within(t)), i.Proceed()); err != nil {
		t.Error(err)
	}
	wait(t, i)
	if got, want := out.String(), "\nwaited 0 1 7 true\nwaited 0 1 8 true\n"; !strings.HasPrefix(got, "waited 0 0 ") || !strings.HasSuffix(got, want) {
		t.Errorf("output %q; want ...%q", got, want)
	}
}

// A reply that comes while the guest is about to rest wakes it, and its memory
// is not reserved again.
func TestNoReplyIsLost(t *testing.T) {
	const rounds = 3000
	calls := make(handler, 1)
	reserved := uint64(0)
	i := impatient(t, sandbox.Config{Args: []string{"asks"}, Calls: calls, Reserve: func(size uint64) error {
		if size <= reserved {
			t.Errorf("%d bytes are reserved behind %d", size, reserved)
		}
		reserved = size
		return nil
	}})
	for n := range rounds {
		select {
		case c := <-calls:
			for began := time.Now(); time.Since(began) < time.Duration(n%100)*time.Microsecond; {
			}
			i.Reply(c.ID, make([]byte, 8))
		case <-time.After(time.Minute):
			t.Fatalf("the guest did not go on after reply %d", n)
		}
	}
	i.Close()
}

// A guest that rests is paused, and becomes another instance, without being
// woken; it keeps its deadline.
func TestRestAndPause(t *testing.T) {
	for what, carryOn := range map[string]func(t *testing.T, i *sandbox.Instance, out *output) *sandbox.Instance{
		"continue": func(t *testing.T, i *sandbox.Instance, _ *output) *sandbox.Instance {
			if err := i.Continue(); err != nil {
				t.Error(err)
			}
			return i
		},
		"proceed": func(t *testing.T, i *sandbox.Instance, _ *output) *sandbox.Instance {
			if err := i.Proceed(); err != nil {
				t.Error(err)
			}
			return i
		},
		"move": func(t *testing.T, i *sandbox.Instance, out *output) *sandbox.Instance {
			return move(t, guest(t, "sleep"), i, sandbox.Config{Output: out.write}, nil)
		},
	} {
		t.Run(what, func(t *testing.T) {
			i, out := resting(t, "300ms")
			if _, err := i.State(); !errors.Is(err, sandbox.ErrState) || i.Memory() != nil {
				t.Errorf("a guest that rests shows its state: %v", err)
			}
			if err := i.Continue(); !errors.Is(err, sandbox.ErrState) {
				t.Errorf("Continue: %v", err)
			}
			if err := i.Pause(within(t)); err != nil {
				t.Fatal(err)
			}
			if i.Alarmed() || i.Memory() == nil {
				t.Error("a paused guest has an alarm, or no memory")
			}
			i = carryOn(t, i, out)
			slept(t, i, out)
		})
	}
}

// A guest that rests is visited, and its snapshot taken, without being woken.
func TestRestAndVisit(t *testing.T) {
	i, _ := resting(t, "1h")
	size := 0
	if err := i.AtSafePoint(within(t), func(memory []byte) { size = len(memory) }); err != nil || size == 0 {
		t.Errorf("AtSafePoint: %v, %d bytes", err, size)
	}
	s, err := i.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := update(within(t), s); err != nil || len(changed) == 0 {
		t.Errorf("%d pages, %v", len(changed), err)
	}
	if !i.Rests() {
		t.Error("the guest was woken")
	}
	if err := i.Pause(within(t)); err != nil {
		t.Fatal(err)
	}
	for at, memory := 0, i.Memory(); at < len(memory); at += sandbox.SnapshotPage {
		if !s.Equal(uint32(at/sandbox.SnapshotPage), memory[at:at+sandbox.SnapshotPage]) {
			t.Fatalf("page %d is not as in memory", at/sandbox.SnapshotPage)
		}
	}
}

// A guest that rests is ended without being woken.
func TestRestAndKill(t *testing.T) {
	own := errors.New("own reason")
	i, _ := resting(t, "1h")
	i.Kill(own)
	if status, err := i.Exit(); status != -1 || err != own {
		t.Errorf("Exit: %d, %v", status, err)
	}
	i, _ = resting(t, "1h")
	if err := errors.Join(i.Close(), i.Close()); err != nil {
		t.Error(err)
	}
	if _, err := i.Exit(); !errors.Is(err, sandbox.ErrClosed) || i.Alarmed() {
		t.Errorf("Exit: %v, alarm %v", err, i.Alarmed())
	}
	if err := i.AtSafePoint(within(t), func([]byte) {}); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("AtSafePoint: %v", err)
	}
}

// An engine has nothing of a guest that it ran before.
func TestEnginesAreClean(t *testing.T) {
	code := guest(t, "busy")
	for range 3 {
		for _, test := range []struct {
			args  []string
			limit uint64
			want  string
		}{
			{[]string{"busy", "memory"}, 16 << 20, "out of memory"},
			{[]string{"busy", "panic"}, 0, "panic: at the guest's"},
			{[]string{"busy", "calls", "10"}, 0, "start\n55\n"},
		} {
			var out output
			i := start(t, "busy", sandbox.Config{Args: test.args, MemoryLimit: test.limit, Output: out.write})
			wait(t, i)
			i.Close()
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("%v wrote %q", test.args, &out)
			}
			if err := code.SoilIdle(); err != nil {
				t.Error(err)
			}
		}
	}
}

// quiz replies to requests some time later.
type quiz struct {
	i    atomic.Pointer[sandbox.Instance]
	late sync.WaitGroup
}

func (q *quiz) Call(c sandbox.Call) {
	n := binary.LittleEndian.Uint64(c.Payload)
	reply := func() { q.i.Load().Reply(c.ID, binary.LittleEndian.AppendUint64(nil, n*0x9e3779b97f4a7c15+c.ID)) }
	if n&7 == 0 {
		reply()
		return
	}
	q.late.Add(1)
	time.AfterFunc(time.Duration(n>>8%20000)*time.Microsecond, func() { defer q.late.Done(); reply() })
}

// Guests that rest whenever they wait, and are looked at and stopped at random
// moments, do what they do when they are left alone.
func TestRestAtRandomMoments(t *testing.T) {
	const guests, rounds = 8, 60
	run := func(t *testing.T, n int, patience time.Duration, disturb func(i *sandbox.Instance)) string {
		var out output
		q := new(quiz)
		i, err := guest(t, "rest").New(sandbox.Config{
			Args: []string{"rest", fmt.Sprint(n), fmt.Sprint(rounds)}, Output: out.write, Calls: q,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		q.i.Store(i)
		i.SetPatience(patience)
		if err := i.Start(); err != nil {
			t.Error(err)
		}
		for disturb != nil {
			select {
			case <-i.Done():
				disturb = nil
				continue
			default:
			}
			disturb(i)
		}
		status, err := wait(t, i)
		q.late.Wait()
		return fmt.Sprint(out.String(), status, err)
	}
	guest(t, "rest")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var rested, disturbed atomic.Int64
	var wg sync.WaitGroup
	for n := range guests {
		var want string
		var alone sync.WaitGroup
		alone.Go(func() { want = run(t, n, time.Hour, nil) })
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(n)))
			got := run(t, n, time.Duration(n%3)*5*time.Millisecond, func(i *sandbox.Instance) {
				time.Sleep(time.Duration(rnd.IntN(4000)) * time.Microsecond)
				if i.Rests() {
					rested.Add(1)
				}
				if n == 0 {
					return // nobody disturbs it
				}
				disturbed.Add(1)
				var err error
				switch rnd.IntN(3) {
				case 0:
					err = i.AtSafePoint(within(t), func([]byte) {})
				case 1:
					var s *sandbox.Snapshot
					if s, err = i.Snapshot(); err == nil {
						_, err = update(within(t), s)
					}
				case 2:
					if err = i.Pause(within(t)); err == nil {
						time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
						err = i.Proceed()
					}
				}
				if err != nil && !errors.Is(err, sandbox.ErrExited) {
					t.Error(err)
				}
			})
			alone.Wait()
			if got != want || !strings.HasSuffix(got, "[0 0]\n0 <nil>") {
				t.Errorf("guest %d: %q; left alone: %q", n, got, want)
			}
		})
	}
	wg.Wait()
	t.Logf("disturbed %d times; %d times found at rest", disturbed.Load(), rested.Load())
	if rested.Load() < 100 || disturbed.Load() < 100 {
		t.Error("too seldom")
	}
}
