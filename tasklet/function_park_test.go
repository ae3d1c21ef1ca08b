package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A quota is how many numbers are still to be received.
type quota struct {
	Name channel.Name
	Left int
}

// callsOfRests counts how often rests was called.
var callsOfRests atomic.Int64

// rests writes the numbers that it receives, and rests while there is none.
var rests = tasklet.Func("rests", func(ctx context.Context, self *tasklet.Self, q *quota) error {
	callsOfRests.Add(1)
	numbers, err := channel.Open[int](ctx, self.Parking(), q.Name)
	if err != nil {
		return err
	}
	for q.Left > 0 {
		n, err := numbers.Receive(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(self, n)
		q.Left--
	}
	return nil
})

// parkSoon makes the functions of a peer rest soon.
const parkSoon = 10 * time.Millisecond

func (p *peer) atRest(ctx context.Context, t testing.TB, n int) {
	t.Helper()
	eventually(ctx, t, fmt.Sprint(n, " functions at rest"), func() bool { return p.Parked() == n })
}

// Functions that rest have no goroutine, and run as far as anybody can see.
func TestResting(t *testing.T) {
	ctx := within(t, patience)
	a := functionPeers(t, 1)[0]
	a.ParkAfter(parkSoon)
	const n = 200
	before := runtime.NumGoroutine()
	var all []*tasklet.Tasklet
	for range n {
		all = append(all, must[*tasklet.Tasklet](t)(a.Go(ctx, rests(quota{"numbers", 2}))))
	}
	a.atRest(ctx, t, n)
	eventually(ctx, t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() < before+n/4 })
	numbers := open(t, a, "numbers")
	if b := must[int](t)(numbers.Balance(ctx)); b != -n {
		t.Errorf("balance %d", b)
	}
	for _, tl := range all {
		if i := look(t, tl); i.State != tasklet.Running || i.Host != a.id() {
			t.Errorf("%+v", i)
		}
	}
	calls := callsOfRests.Load()
	for _, tl := range all[:10] {
		if err := tl.Kill(ctx); err != nil {
			t.Error(err)
		}
		if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
			t.Error(err)
		}
	}
	if now := callsOfRests.Load(); now != calls {
		t.Errorf("%d functions were called to be killed", now-calls)
	}
	for i := range 2 * (n - 11) {
		if err := numbers.Send(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	// One is left, or two that want one more each.
	if err := numbers.Close(ctx); err != nil {
		t.Error(err)
	}
	exits := [2]int{}
	for _, tl := range all[10:] {
		status, err := tl.Wait(ctx)
		if exits[status]++; status == 1 && !strings.Contains(err.Error(), channel.ErrClosed.Error()) {
			t.Error(err)
		}
	}
	if exits[1] < 1 || exits[1] > 2 {
		t.Errorf("%d functions ended because the channel was closed", exits[1])
	}
}

// Only a receive with the function's own context lets it rest.
func TestRestingNot(t *testing.T) {
	ctx := within(t, patience)
	var calls atomic.Int64
	waits := tasklet.Func("waits", func(ctx context.Context, self *tasklet.Self, how *string) error {
		calls.Add(1)
		c, err := channel.Open[int](ctx, self.Parking(), "nobody")
		if err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, 20*parkSoon)
		defer cancel()
		if *how == "select" {
			var v int
			_, err = channel.Select(short, c.Receiving(&v))
		} else {
			_, err = c.Receive(short)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s ended with %w", *how, err)
		}
		return nil
	})
	a := startPeer(t, tcp, &tasklet.Options{Functions: []tasklet.AnyFunction{waits}})
	a.ParkAfter(parkSoon)
	for i, how := range []string{"select", "receive"} {
		wantExit(ctx, t, must[*tasklet.Tasklet](t)(a.Go(ctx, waits(how))))
		if n := calls.Load(); n != int64(i+1) {
			t.Errorf("%s: it was called %d times", how, n)
		}
	}
}

// A value that has come for a function that rests, and that it has not seen, is
// the tasklet's, wherever that goes meanwhile.
func TestRestingHasReceived(t *testing.T) {
	refuses := startPeer(t, tcp, nil)
	for what, do := range map[string]func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, a, b *peer) *tasklet.Tasklet{
		"move": func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, _, b *peer) *tasklet.Tasklet {
			if err := tl.Move(ctx, b.id()); err != nil {
				t.Error(err)
			}
			return tl
		},
		"refused": func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, a, _ *peer) *tasklet.Tasklet {
			must[p2p.ID](t)(a.node.Connect(ctx, refuses.node.Addrs()[0]))
			if err := tl.Move(ctx, refuses.id()); !errors.Is(err, tasklet.ErrRefused) {
				t.Error(err)
			}
			return tl
		},
		"drain": func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, a, b *peer) *tasklet.Tasklet {
			if moved, err := a.Drain(ctx, b.node.ID()); len(moved) != 1 || err != nil {
				t.Error(moved, err)
			}
			return tl
		},
		"suspend": func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, _, b *peer) *tasklet.Tasklet {
			if err := errors.Join(tl.Suspend(ctx), tl.Resume(ctx), tl.Move(ctx, b.id())); err != nil {
				t.Error(err)
			}
			return tl
		},
		"checkpoint": func(ctx context.Context, t *testing.T, tl *tasklet.Tasklet, _, _ *peer) *tasklet.Tasklet {
			if err := tl.Checkpoint(ctx); err != nil {
				t.Error(err)
			}
			return tl
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, patience)
			var a, b *peer
			if what == "suspend" || what == "checkpoint" {
				a, b = startAt(t, t.TempDir(), tcp), startAt(t, t.TempDir(), tcp)
				must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
			} else { // with a disk, a move begins with a checkpoint, after which the function may take the value
				peers := functionPeers(t, 2)
				a, b = peers[0], peers[1]
			}
			a.ParkAfter(parkSoon)
			b.ParkAfter(parkSoon)
			name := channel.Name(what)
			tl := must[*tasklet.Tasklet](t)(a.Go(ctx, rests(quota{name, 3})))
			a.atRest(ctx, t, 1)
			a.Hold(tl.ID())
			numbers := open(t, b, name)
			if err := numbers.Send(ctx, 7); err != nil {
				t.Fatal(err)
			}
			if got := output(t, tl); got != "" {
				t.Errorf("it was called, and wrote %q", got)
			}
			tl = do(ctx, t, tl, a, b)
			for n := 8; n < 10; n++ {
				eventually(ctx, t, "rest", func() bool { return a.Parked()+b.Parked() == 1 })
				if err := numbers.Send(ctx, n); err != nil {
					t.Fatal(err)
				}
			}
			wantExit(ctx, t, tl)
			if got := output(t, tl); got != "7\n8\n9\n" {
				t.Errorf("it wrote %q", got)
			}
		})
	}
}

// A late space tells late that something was received.
type lateSpace struct {
	channel.Space
	withdrawn, tells chan struct{}
}

type lateEnd struct {
	channel.Endpoint
	space *lateSpace
}

func (s *lateSpace) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	e, err := s.Space.Open(ctx, name)
	return &lateEnd{e, s}, err
}

type lateReceive struct {
	channel.Withdrawer
	space *lateSpace
}

func (e *lateEnd) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	return &lateReceive{e.Endpoint.ReceiveAsync(s, func(err error) {
		go func() {
			if err == nil {
				<-e.space.tells
			}
			done(err)
		}()
	}), e.space}
}

func (r *lateReceive) Withdraw(err error) {
	r.Withdrawer.Withdraw(err)
	close(r.space.withdrawn)
}

// A function does not move before it is known whether what it rested in has
// received something.
func TestRestingHearsLate(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	a, b := peers[0], peers[1]
	a.ParkAfter(parkSoon)
	space := &lateSpace{a.space, make(chan struct{}), make(chan struct{})}
	a.UseSpace(space)
	tl := must[*tasklet.Tasklet](t)(a.Go(ctx, rests(quota{"numbers", 1})))
	a.atRest(ctx, t, 1)
	if err := open(t, b, "numbers").Send(ctx, 7); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error, 1)
	go func() { moved <- tl.Move(ctx, b.id()) }()
	<-space.withdrawn
	close(space.tells)
	if err := <-moved; err != nil && !errors.Is(err, tasklet.ErrExited) {
		t.Error(err)
	}
	wantExit(ctx, t, tl)
	if got := output(t, tl); got != "7\n" {
		t.Errorf("it wrote %q", got)
	}
}

// What was received is there when the peer is killed, or is closed, and started
// again.
func TestRestingOnDisk(t *testing.T) {
	for _, killed := range []bool{true, false} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, patience)
			a := startProcess(t, true, "")
			b := functionPeers(t, 1)[0]
			must[p2p.ID](t)(b.node.Connect(ctx, a.addr))
			id := must[answer](t)(a.ask(ctx, "rest", "numbers")).Value
			resting := func() bool { return must[answer](t)(a.ask(ctx, "resting", id)).Value == "1" }
			eventually(ctx, t, "rest", resting)
			must[answer](t)(a.ask(ctx, "hold", id))
			numbers := open(t, b, "numbers")
			if err := numbers.Send(ctx, 7); err != nil {
				t.Fatal(err)
			}
			if killed {
				must[answer](t)(a.ask(ctx, "suspend", id))
				a.kill()
			} else {
				a.finish()
			}
			a.start()
			must[p2p.ID](t)(b.node.Connect(ctx, a.addr))
			must[answer](t)(a.ask(ctx, "resume", id))
			wrote := func(want string) {
				t.Helper()
				eventually(ctx, t, want, func() bool { return must[answer](t)(a.ask(ctx, "output", id)).Value == want })
			}
			wrote("7\n")
			eventually(ctx, t, "rest", resting)
			if err := numbers.Send(ctx, 8); err != nil {
				t.Fatal(err)
			}
			wrote("7\n8\n")
		})
	}
}
