package network_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/channel/network"
)

// homed returns n peers of which the first is the home of the named channels.
func homed(ctx context.Context, t testing.TB, n int, names ...channel.Name) []*peer {
	t.Helper()
	peers := startPeers(t, n, "/ip4/127.0.0.1/tcp/0")
	for _, name := range names {
		for i, p := range peers {
			open[string](t, p, name)
			if i == 0 {
				agree(ctx, t, name, p)
			}
		}
		agree(ctx, t, name, peers...)
	}
	return peers
}

// Two peers select among the same two channels, in opposite directions: each
// time they must choose the same one.
func TestSelectMeetsSelect(t *testing.T) {
	for _, test := range []struct {
		name     string
		peers, a int
		b        int
	}{
		{"one peer", 1, 0, 0},
		{"home and member", 2, 0, 1},
		{"two members", 3, 1, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := within(t, 60*time.Second)
			peers := homed(ctx, t, test.peers, "x", "y")
			ax, ay := open[string](t, peers[test.a], "x"), open[string](t, peers[test.a], "y")
			bx, by := open[string](t, peers[test.b], "x"), open[string](t, peers[test.b], "y")
			chosen := [2]int{}
			for round := range 200 {
				want := fmt.Sprint(round)
				type result struct {
					case_ int
					got   string
					err   error
				}
				other := make(chan result)
				go func() {
					var r result
					r.case_, r.err = channel.Select(ctx, bx.Receiving(&r.got), by.Sending("b"+want))
					other <- r
				}()
				var got string
				n, err := channel.Select(ctx, ax.Sending("a"+want), ay.Receiving(&got))
				r := <-other
				if err != nil || r.err != nil || n != r.case_ {
					t.Fatalf("round %d: one chose %d, %v, the other %d, %v", round, n, err, r.case_, r.err)
				}
				chosen[n]++
				if n == 0 && (got != "" || r.got != "a"+want) || n == 1 && (r.got != "" || got != "b"+want) {
					t.Fatalf("round %d: case %d, received %q and %q", round, n, got, r.got)
				}
			}
			t.Logf("chosen: %v", chosen)
			empty(ctx, t, peers, "x", "y")
		})
	}
}

// empty checks that nothing waits on the channels.
func empty(ctx context.Context, t *testing.T, peers []*peer, names ...channel.Name) {
	t.Helper()
	for _, name := range names {
		for _, p := range peers {
			for {
				n, err := open[string](t, p, name).Balance(ctx)
				sends, receives, _ := p.Homed(name)
				if err == nil && n == 0 && sends+receives == 0 {
					break
				}
				if ctx.Err() != nil {
					t.Fatalf("%q has the balance %d, %v; its home knows of %d sends and %d receives", name, n, err, sends, receives)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// Three peers offer a value to the next and wait for one of the last. In each
// round one value goes over, and the one who is left gets his from outside.
func TestSelectsInARing(t *testing.T) {
	ctx := within(t, 60*time.Second)
	names := []channel.Name{"ring 0", "ring 1", "ring 2"}
	peers := homed(ctx, t, 3, names...)
	const rounds = 100
	var sent, received [3]int
	var wg sync.WaitGroup
	left, stop := context.WithCancel(ctx)
	defer stop()
	for i, p := range peers {
		out, in := open[string](t, p, names[i]), open[string](t, p, names[(i+2)%3])
		wg.Go(func() {
			for range rounds {
				var v string
				switch n, err := channel.Select(left, out.Sending("v"), in.Receiving(&v)); {
				case err != nil:
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				case n == 0:
					sent[i]++
				default:
					received[i]++
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	// Two that are done leave the third alone.
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Second):
				stop()
			}
		}
	}()
	<-done
	total := 0
	for i := range 3 {
		if sent[i] != received[(i+1)%3] {
			t.Errorf("peer %d sent %d, the next received %d", i, sent[i], received[(i+1)%3])
		}
		total += sent[i]
	}
	t.Logf("sent %v, received %v", sent, received)
	if total < rounds {
		t.Errorf("only %d values went over", total)
	}
	empty(ctx, t, peers, names...)
}

// Plain senders and receivers meet selects, and every value arrives once.
func TestSelectAmongOthers(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 3, "one", "two")
	const each = 200
	var wg sync.WaitGroup
	var first, second history.History[value]
	notChosen := errors.New("another case was chosen")
	stop, finish := context.WithCancel(ctx)
	defer finish()
	var receivers sync.WaitGroup
	for i, p := range peers {
		one, two := open[value](t, p, "one"), open[value](t, p, "two")
		wg.Go(func() { // sends on whichever is free
			var a, b int
			for a+b < each {
				va, vb := value{10 + i, a}, value{10 + i, b}
				who := fmt.Sprint("selecting sender ", i)
				sentA, sentB := first.Sending(ctx, who, va), second.Sending(ctx, who, vb)
				switch n, err := channel.Select(ctx, one.Sending(va), two.Sending(vb)); n {
				case 0:
					sentA(err)
					sentB(notChosen)
					a++
				case 1:
					sentA(notChosen)
					sentB(err)
					b++
				default:
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() { // sends on one
			for seq := range each {
				first.Send(ctx, fmt.Sprint("sender ", i), value{20 + i, seq}, one.Send)
			}
		})
		receivers.Go(func() { // receives from whichever has something
			for {
				var va, vb value
				who := fmt.Sprint("selecting receiver ", i)
				receivedA, receivedB := first.Receiving(stop, who), second.Receiving(stop, who)
				switch n, err := channel.Select(stop, one.Receiving(&va), two.Receiving(&vb)); {
				case err != nil:
					receivedA(va, err)
					receivedB(vb, err)
					return
				case n == 0:
					receivedA(va, nil)
					receivedB(vb, notChosen)
				default:
					receivedA(va, notChosen)
					receivedB(vb, nil)
				}
			}
		})
	}
	one := open[value](t, peers[1], "one")
	receivers.Go(func() {
		for {
			if _, err := first.Receive(stop, "receiver", one.Receive); err != nil {
				return
			}
		}
	})
	wg.Wait()
	finish()
	receivers.Wait()
	for _, h := range []*history.History[value]{&first, &second} {
		for _, v := range h.Violations() {
			t.Error(v)
		}
		t.Log(h)
	}
}

func TestSelectDefault(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := homed(ctx, t, 2, "d", "e")
	for i, p := range peers {
		other := peers[1-i]
		in, out := open[string](t, p, "d"), open[string](t, p, "e")
		var got string
		if n, err := channel.Select(ctx, channel.Default(), in.Receiving(&got), out.Sending("x")); n != 0 || err != nil {
			t.Errorf("peer %d, nobody waits: %d, %v", i, n, err)
		}
		sent := make(chan error, 1)
		from := open[string](t, other, "d")
		go func() { sent <- from.Send(ctx, "hello") }()
		for {
			if n, err := in.Balance(ctx); err != nil {
				t.Fatal(err)
			} else if n == 1 {
				break
			}
		}
		if n, err := channel.Select(ctx, out.Sending("x"), in.Receiving(&got), channel.Default()); n != 1 || err != nil || got != "hello" {
			t.Errorf("peer %d, a sender waits: %d, %v, %q", i, n, err, got)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	empty(ctx, t, peers, "d", "e")
}

// A value that a select with a default has offered comes back late: then nothing
// else is waited for.
func TestSelectDefaultIsRefused(t *testing.T) {
	ctx := within(t, 30*time.Second)
	home := startPeer(t)
	const name = channel.Name("refused")
	out := open[string](t, home, name)
	agree(ctx, t, name, home)
	h := attack(ctx, t, startNode(t), home, true)
	h.join(name)
	h.say(network.Frame{Kind: network.Receive, Number: 1, Receive: 7})
	h.ping()
	chosen := make(chan error, 1)
	go func() {
		n, err := channel.Select(ctx, out.Sending("x"), channel.Default())
		if err == nil && n != 1 {
			err = fmt.Errorf("case %d was chosen", n)
		}
		chosen <- err
	}()
	f := h.await(func(f network.Frame) bool { return f.Kind == network.Deliver })
	select {
	case err := <-chosen:
		t.Fatalf("the value is on its way, and the select has returned: %v", err)
	case <-time.After(network.ProbeTimeout + 100*time.Millisecond):
	}
	h.say(network.Frame{Kind: network.Refuse, Number: 1, Send: f.Send})
	if err := <-chosen; err != nil {
		t.Error(err)
	}
}

func TestSelectEnds(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := homed(ctx, t, 2, "a", "b")
	for i, p := range peers {
		a, b := open[string](t, p, "a"), open[string](t, p, "b")
		var got string
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if n, err := channel.Select(short, a.Receiving(&got), b.Sending("x")); n != -1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("peer %d: the context has ended: %d, %v", i, n, err)
		}
		cancel()
		go func() { time.Sleep(5 * time.Millisecond); b.Leave() }()
		if n, err := channel.Select(ctx, a.Receiving(&got), b.Receiving(&got)); n != 1 || !errors.Is(err, channel.ErrClosed) {
			t.Errorf("peer %d: an end was left: %d, %v", i, n, err)
		}
		if n, err := channel.Select(ctx, a.Receiving(&got), b.Sending("x")); n != 1 || !errors.Is(err, channel.ErrClosed) {
			t.Errorf("peer %d: it was left before: %d, %v", i, n, err)
		}
	}
	empty(ctx, t, peers, "a", "b")
	a, b := open[string](t, peers[0], "a"), open[string](t, peers[1], "b")
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if !a.Closed() || b.Closed() {
		t.Errorf("closed: %v, %v", a.Closed(), b.Closed())
	}
	var got string
	if n, err := channel.Select(ctx, open[string](t, peers[1], "a").Receiving(&got), b.Receiving(&got)); n != 0 || !errors.Is(err, channel.ErrClosed) {
		t.Errorf("a channel was closed: %d, %v", n, err)
	}
	if n, err := channel.Select(ctx, a.Sending("x"), b.Receiving(&got)); err == nil || n != -1 {
		t.Errorf("two spaces: %d, %v", n, err)
	}
	if n, err := channel.Select(ctx, channel.Default(), channel.Default()); err == nil || n != -1 {
		t.Errorf("two defaults: %d, %v", n, err)
	}
	if n, err := channel.Select(ctx, channel.Case{}); err == nil || n != -1 {
		t.Errorf("an empty case: %d, %v", n, err)
	}
}

// Of two cases that can be done, either is chosen from time to time.
func TestSelectIsFair(t *testing.T) {
	ctx := within(t, 30*time.Second)
	p := startPeer(t)
	a, b := open[int](t, p, "a"), open[int](t, p, "b")
	stop, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, c := range []*channel.Channel[int]{a, b} {
		wg.Go(func() {
			for c.Send(stop, 1) == nil {
			}
		})
	}
	chosen := [2]int{}
	for range 400 {
		for n := 0; n < 2; {
			n, _ = a.Balance(ctx)
			if m, _ := b.Balance(ctx); m < n {
				n = m
			}
			n++
		}
		var v int
		n, err := channel.Select(ctx, a.Receiving(&v), b.Receiving(&v))
		if err != nil {
			t.Fatal(err)
		}
		chosen[n]++
	}
	cancel()
	wg.Wait()
	if chosen[0] < 100 || chosen[1] < 100 {
		t.Errorf("chosen %v", chosen)
	}
}

// A case that needs an answer of another peer is chosen from time to time though
// one that needs none can always be done.
func TestSelectFarIsFair(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := homed(ctx, t, 2, "far")
	here := peers[1]
	near := open[int](t, here, "near")
	agree(ctx, t, "near", here)
	far := open[int](t, here, "far")
	stop, finish := context.WithCancel(ctx)
	var receivers sync.WaitGroup
	for _, in := range []*channel.Channel[int]{near, open[int](t, peers[0], "far")} {
		for range 4 {
			receivers.Go(func() {
				for {
					if _, err := in.Receive(stop); err != nil {
						return
					}
				}
			})
		}
	}
	chosen := [2]int{}
	for range 400 {
		for {
			if n, err := near.Balance(ctx); err != nil {
				t.Fatal(err)
			} else if n < 0 {
				break
			}
		}
		n, err := channel.Select(ctx, near.Sending(1), far.Sending(2))
		if err != nil {
			t.Fatal(err)
		}
		chosen[n]++
	}
	finish()
	receivers.Wait()
	t.Logf("chosen %v", chosen)
	if chosen[0] < 5 || chosen[1] < 5 {
		t.Errorf("chosen %v", chosen)
	}
}
