package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/abi"
)

type counter struct {
	Channel channel.Ref[int]
	N, To   int
}

// count sends the numbers up to one.
var count = tasklet.Func("count", func(ctx context.Context, self *tasklet.Self, s *counter) error {
	numbers, err := s.Channel.Open(ctx, self)
	if err != nil {
		return err
	}
	for ; s.N < s.To; s.N++ {
		if err := numbers.Send(ctx, s.N); err != nil {
			return err
		}
	}
	fmt.Fprintln(self, "counted to", s.N)
	return nil
})

// stubborn ignores that it is asked to stop, until it is let go.
var letGo = make(chan struct{})

var stubborn = tasklet.Func("stubborn", func(ctx context.Context, self *tasklet.Self, _ *int) error {
	<-letGo
	return self.Yield()
})

var fails = tasklet.Func("fails", func(_ context.Context, _ *tasklet.Self, how *string) error {
	if *how == "panic" {
		panic("at the disco")
	}
	return errors.New(*how)
})

// prints writes numbers to its output, as the program plain does.
var prints = tasklet.Func("prints", func(ctx context.Context, self *tasklet.Self, n *int) error {
	for {
		fmt.Fprintln(self, *n)
		*n++
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
})

// travels sends how often it was called, from each of the peers, and goes on to
// the next by itself.
type trip struct {
	To    []string // peers
	Calls int
}

var travels = tasklet.Func("travels", func(ctx context.Context, self *tasklet.Self, s *trip) error {
	s.Calls++
	said, err := channel.Open[string](ctx, self, "said")
	if err != nil {
		return err
	}
	for len(s.To) > 0 {
		next := s.To[0]
		err := self.Move(ctx, next)
		if errors.Is(err, tasklet.ErrRefused) {
			if err := said.Send(ctx, "refused"); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		s.To = s.To[1:]
		if err := said.Send(ctx, fmt.Sprint(s.Calls, self.Host())); err != nil {
			return err
		}
	}
	return nil
})

var functions = []tasklet.AnyFunction{count, stubborn, fails, prints, travels, sends, receives, waits, selves, rests, receivesResting, restsOnTwo, idles, grows}

// functionPeers starts n connected peers that have the functions.
func functionPeers(t testing.TB, n int) (peers []*peer) {
	t.Helper()
	for range n {
		p := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: functions})
		for _, other := range peers {
			must[p2p.ID](t)(p.node.Connect(t.Context(), other.node.Addrs()[0]))
		}
		peers = append(peers, p)
	}
	return peers
}

func TestFunction(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 3)
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, count(counter{channel.Ref[int]{Name: "numbers"}, 0, 300})))
	numbers := open(t, peers[2], "numbers")
	for want := range 300 {
		if want%10 == 0 {
			if err := tl.Move(ctx, peers[(want/10+1)%3].id()); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := numbers.Receive(ctx); got != want || err != nil {
			t.Fatalf("received %d, %v; want %d", got, err, want)
		}
	}
	wantExit(ctx, t, tl)
	if got := output(t, tl); got != "counted to 300\n" {
		t.Errorf("output %q", got)
	}
	i := look(t, tl)
	if i.Function != "count" || i.Program != "" || len(i.Moves) != 16 || i.Host != peers[0].id() {
		t.Errorf("%+v", i)
	}
}

func TestFunctionFails(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, fails("no such luck")))
	if status, err := tl.Wait(ctx); status != 1 || err == nil || err.Error() != "no such luck" {
		t.Errorf("%d, %v", status, err)
	}
	tl = must[*tasklet.Tasklet](t)(peers[0].Go(ctx, fails("panic")))
	var crash *tasklet.CrashError
	if status, err := tl.Wait(ctx); status != 2 || !errors.As(err, &crash) || crash.Reason != "panic: at the disco" || !strings.Contains(crash.Stack, "function_test.go") {
		t.Errorf("%d, %v", status, err)
	}
	tl = must[*tasklet.Tasklet](t)(peers[0].Go(ctx, count(counter{channel.Ref[int]{Name: "nobody"}, 0, 1})))
	if err := tl.Move(ctx, peers[1].id()); err != nil {
		t.Fatal(err)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
	if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
		t.Error(err)
	}
}

// Where a function is not known, or its state is another, it cannot go.
func TestFunctionRefused(t *testing.T) {
	ctx := within(t, patience)
	var calls atomic.Int64
	f := tasklet.Func("f", func(ctx context.Context, self *tasklet.Self, n *int) error {
		calls.Add(1)
		<-ctx.Done()
		return ctx.Err()
	})
	other := tasklet.Func("f", func(context.Context, *tasklet.Self, *struct{ N int }) error { return nil })
	a := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: []tasklet.AnyFunction{f}})
	for _, c := range []struct {
		functions []tasklet.AnyFunction
		says      string
	}{
		{nil, `has no function "f"; register it there too`},
		{[]tasklet.AnyFunction{other}, `the state of function "f" is {N int} at peer`},
	} {
		b := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Functions: c.functions})
		must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
		before := calls.Load()
		tl := must[*tasklet.Tasklet](t)(a.Go(ctx, f(7)))
		err := tl.Move(ctx, b.id())
		if !errors.Is(err, tasklet.ErrRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("move: %v", err)
		}
		t.Log(err)
		if err := tl.Kill(ctx); err != nil || calls.Load() == before {
			t.Errorf("kill: %v, after %d calls", err, calls.Load()-before)
		}
	}
	if _, err := a.Go(ctx, other(struct{ N int }{})); err == nil || !strings.Contains(err.Error(), "run one version of it") {
		t.Errorf("go of another function of that name: %v", err)
	}
}

// A function that does not listen is moved when it does.
func TestFunctionDoesNotListen(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, stubborn(0)))
	for wait := 50 * time.Millisecond; ; wait *= 2 { // on a slow machine it is over before the function is asked
		soon, cancel := context.WithTimeout(ctx, wait)
		err := tl.Move(soon, peers[1].id())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("move: %v", err)
		}
		if strings.Contains(err.Error(), "no operation and no Yield") {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("it is not said what the function does not do: %v", err)
		}
	}
	moved := make(chan error)
	go func() { moved <- tl.Move(ctx, peers[1].id()) }()
	close(letGo)
	if err := <-moved; err != nil && !errors.Is(err, tasklet.ErrExited) {
		t.Error(err)
	}
	wantExit(ctx, t, tl)
}

// What comes in place of the function that was offered is refused, and a
// continuation whose state is noise.
func TestHostileFunction(t *testing.T) {
	victim := functionPeers(t, 1)[0]
	from := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	defer from.Close()
	must[p2p.ID](t)(from.Connect(t.Context(), victim.node.Addrs()[0]))
	for name, attack := range map[string]struct {
		says  string
		forge func(o *offer, c *tasklet.Continuation)
	}{
		"other function": {"not the tasklet that was offered", func(_ *offer, c *tasklet.Continuation) { c.Function.Name = "stubborn" }},
		"other shape":    {"not the tasklet that was offered", func(_ *offer, c *tasklet.Continuation) { c.Function.Shape = "int" }},
		"other size":     {"not the tasklet that was offered", func(o *offer, _ *tasklet.Continuation) { o.Memory++ }},
		"other ID":       {"not the tasklet that was offered", func(_ *offer, c *tasklet.Continuation) { *c = begun(*c, from) }},
		"a program": {"not the tasklet that was offered", func(o *offer, c *tasklet.Continuation) {
			*c = good()
			c.ID, c.Claim, c.Origin = o.ID, o.Claim, o.Origin
		}},
		"unknown function":  {"has no function", func(o *offer, _ *tasklet.Continuation) { o.Function = "unknown" }},
		"over the limit":    {tasklet.ErrLimit.Error(), func(o *offer, _ *tasklet.Continuation) { o.Memory = 1 << 40 }},
		"more than offered": {"not the tasklet that was offered", func(_ *offer, c *tasklet.Continuation) { c.Function.Received = goodResting().Function.Received }},
		"noise": {"state of function", func(o *offer, c *tasklet.Continuation) {
			c.Function.State = []byte("noise")
			o.Memory = 5
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := begun(goodFunction(), from)
			o := offerOf(c)
			attack.forge(&o, &c)
			s := knock(t, from, victim)
			s.say(offered, o)
			s.say(frozen, c)
			for {
				tag, body := s.hear()
				if tag == welcome || tag == ready {
					continue
				}
				var f abi.Failure
				if tag != failure || codec.Unmarshal(body, &f) != nil || !strings.Contains(f.Text, attack.says) {
					t.Errorf("message %d, %q; want %q", tag, f.Text, attack.says)
				}
				if l := f.Limit; name == "over the limit" && (l == nil || l.Name != string(tasklet.LimitMemory) || l.Peer != victim.id() || l.Asked != 1<<40) {
					t.Errorf("the limit is %+v", l)
				}
				break
			}
			if victim.Here(c.ID) {
				t.Error("it runs")
			}
		})
	}
}
