package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

func TestFunctionMovesItself(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	refuses := startPeer(t, tcp, nil)
	must[p2p.ID](t)(peers[1].node.Connect(ctx, refuses.node.Addrs()[0]))
	a, b := peers[0].id(), peers[1].id()
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, travels(trip{To: []string{a, b, refuses.id(), b, a}})))
	said := must[*channel.Channel[string]](t)(channel.Open[string](ctx, peers[1].space, "said"))
	for _, want := range []string{"1" + a, "2" + b, "refused", "2" + b, "2" + b, "3" + a} {
		if got, err := said.Receive(ctx); got != want || err != nil {
			t.Errorf("it said %q, %v; want %q", got, err, want)
		}
	}
	wantExit(ctx, t, tl)
}

// A function is suspended, resumed and recorded, here and at another peer, and
// its host is closed and started again: it counts without a gap.
func TestFunctionOnDisk(t *testing.T) {
	ctx := within(t, patience)
	dir := t.TempDir()
	a, b := startAt(t, dir, tcp), startAt(t, t.TempDir(), tcp)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	numbers := open(t, b, "numbers")
	next := 0
	receive := func() {
		t.Helper()
		for range 20 {
			if got, err := numbers.Receive(ctx); got != next || err != nil {
				t.Fatalf("received %d, %v; want %d", got, err, next)
			}
			next++
		}
	}
	tl := must[*tasklet.Tasklet](t)(a.Go(ctx, count(counter{channel.Ref[int]{Name: "numbers"}, 0, 200})))
	receive()
	for _, host := range []*peer{b, a} {
		if err := tl.Suspend(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the word of it", func() bool { return look(t, tl).State == tasklet.Suspended })
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if got, err := numbers.Receive(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a suspended tasklet sent %d, %v", got, err)
		}
		cancel()
		if err := tl.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		receive()
		if err := tl.Move(ctx, host.id()); err != nil {
			t.Fatal(err)
		}
		receive()
	}
	for range 3 {
		if err := tl.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		receive()
	}
	if n := a.Ends(tl.ID()); n != 1 {
		t.Errorf("it has %d ends of one channel", n)
	}
	a.close()
	a = startAt(t, dir, tcp)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	for next < 200 {
		receive()
	}
	tl = must[*tasklet.Tasklet](t)(a.Find(string(tl.ID())))
	wantExit(ctx, t, tl)
	if i := look(t, tl); i.Function != "count" || len(i.Moves) != 2 || output(t, tl) != "counted to 200\n" {
		t.Errorf("%+v, output %q", i, output(t, tl))
	}
}

// What the functions of the test of histories do.
type caller struct {
	Who      string
	N        int
	Attempts int
}

var (
	calls     history.History[string]
	stopCalls chan struct{}
)

var sends = tasklet.Func("sends", func(ctx context.Context, self *tasklet.Self, s *caller) error {
	c, err := channel.Open[string](ctx, self, "calls")
	if err != nil {
		return err
	}
	for ; ; s.N++ {
		select {
		case <-stopCalls:
			return nil
		default:
		}
		s.Attempts++ // a value that was withdrawn is not sent again: all are different
		if err := calls.Send(ctx, s.Who, fmt.Sprintf("%s %d, attempt %d", s.Who, s.N, s.Attempts), c.Send); err != nil {
			return err
		}
	}
})

var receives = tasklet.Func("receives", func(ctx context.Context, self *tasklet.Self, s *caller) error {
	c, err := channel.Open[string](ctx, self, "calls")
	if err != nil {
		return err
	}
	for {
		_, err := calls.Receive(ctx, s.Who, c.Receive)
		switch {
		case errors.Is(err, channel.ErrClosed):
			if s.N == 0 {
				return errors.New("it received nothing")
			}
			return nil
		case err != nil:
			return err
		}
		s.N++
	}
})

// Functions that talk with each other are moved at random, all the time, and
// what they saw of the channel breaks no rule.
func TestFunctionHistories(t *testing.T) {
	ctx := within(t, patience)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	peers := functionPeers(t, 3)
	calls = history.History[string]{}
	const each = 15 // moves
	stopCalls = make(chan struct{})
	var senders, receivers []*tasklet.Tasklet
	for i := range 3 {
		senders = append(senders, must[*tasklet.Tasklet](t)(peers[i].Go(ctx, sends(caller{Who: fmt.Sprint("sender ", i)}))))
		receivers = append(receivers, must[*tasklet.Tasklet](t)(peers[i].Go(ctx, receives(caller{Who: fmt.Sprint("receiver ", i)}))))
	}
	var movers sync.WaitGroup
	for i, tl := range append(senders, receivers...) {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		movers.Go(func() {
			for n := 0; n < each; {
				err := tl.Move(ctx, peers[random.IntN(3)].id())
				switch {
				case err == nil:
					n++
				case !errors.Is(err, tasklet.ErrSelf):
					t.Error(err)
					return
				}
			}
		})
	}
	movers.Wait()
	close(stopCalls)
	for _, tl := range senders {
		wantExit(ctx, t, tl)
	}
	c := must[*channel.Channel[string]](t)(channel.Open[string](ctx, peers[0].space, "calls"))
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, tl := range receivers {
		wantExit(ctx, t, tl)
	}
	sent, received := 0, 0
	for _, call := range calls.Calls() {
		switch {
		case call.Err != nil:
		case call.Kind == history.Send:
			sent++
		default:
			received++
		}
	}
	t.Logf("%d values", sent)
	if sent == 0 || received != sent {
		t.Errorf("%d were sent and %d received", sent, received)
	}
	for _, v := range calls.Violations() {
		t.Error(v)
	}
}
