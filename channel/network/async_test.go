package network_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/channel/network"
)

// Many values are under way at once, and arrive in their order, wherever sender,
// receivers and home are.
func TestSendAsync(t *testing.T) {
	for _, test := range []struct {
		name      string
		peers     int
		from      int
		receivers []int
		size      int
	}{
		{"one peer", 1, 0, []int{0}, 0},
		{"to the home", 2, 1, []int{0}, 0},
		{"from the home", 2, 0, []int{1}, 0},
		{"by a third", 3, 1, []int{2}, 0},
		{"to all", 3, 1, []int{0, 1, 2, 2}, 0},
		{"large", 2, 1, []int{0}, 100_000},
		{"too large to ride along", 2, 1, []int{0}, 200_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := within(t, 60*time.Second)
			const name = "async"
			peers := homed(ctx, t, test.peers, name)
			n := 3000
			if test.size > 0 {
				n = 200
			}
			var h history.History[value]
			stop, finish := context.WithCancel(ctx)
			defer finish()
			var receivers sync.WaitGroup
			for i, at := range test.receivers {
				c := open[item](t, peers[at], name)
				receivers.Go(func() {
					who := fmt.Sprint("receiver ", i)
					received := h.Receiving(stop, who)
					for v, err := range c.All(stop) {
						if received(v.Value, err); err != nil {
							return
						}
						received = h.Receiving(stop, who)
					}
				})
			}
			c := open[item](t, peers[test.from], name)
			var pending []func()
			for seq := range n {
				v := item{value{1, seq}, make([]byte, test.size)}
				sent := h.Sending(ctx, "sender", v.Value)
				if seq%100 == 99 { // Send comes behind what is on its way
					sent(c.Send(ctx, v))
					continue
				}
				p := c.SendAsync(ctx, v)
				pending = append(pending, func() { sent(p.Wait()) })
			}
			for _, wait := range pending {
				wait()
			}
			finish()
			receivers.Wait()
			for _, v := range h.Violations() {
				t.Error(v)
			}
			for _, c := range h.Calls() {
				if c.Kind == history.Send && c.Err != nil {
					t.Error(&c)
				}
			}
			empty(ctx, t, peers, name)
		})
	}
}

// A value that is on its way to a far receiver is not overtaken by the next one,
// for which there is a receiver here.
func TestSendAsyncTurn(t *testing.T) {
	ctx := within(t, 30*time.Second)
	const name = channel.Name("turn")
	node, victim := startNode(t), startPeer(t)
	c := open[string](t, victim, name)
	home := attack(ctx, t, node, victim, true)
	home.say(home.hello(name, 1, 1000, node.ID()))
	home.ping()
	first := c.SendAsync(ctx, "first")
	f := home.await(func(f network.Frame) bool { return f.Kind == network.Send })
	home.say(network.Frame{Kind: network.Match, Number: 1, Send: f.Send, Attempt: f.Attempt, Receive: 1, Peer: node.ID()})
	home.await(func(f network.Frame) bool { return f.Kind == network.Deliver })
	received := make(chan string)
	go func() {
		for range 2 {
			v, err := c.Receive(ctx)
			if err != nil {
				t.Error(err)
			}
			received <- v
		}
	}()
	home.await(func(f network.Frame) bool { return f.Kind == network.Receive })
	second := c.SendAsync(ctx, "second")
	home.say(network.Frame{Kind: network.Refuse, Number: 1, Send: f.Send})
	for _, want := range []string{"first", "second"} {
		if got := <-received; got != want {
			t.Errorf("received %q, want %q", got, want)
		}
	}
	for _, p := range []*channel.Pending{first, second} {
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// Without a receiver no more than a window of values is taken from the sender,
// and what is withdrawn when its context ends is a tail.
func TestSendAsyncWindow(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 2, "window")
	for i, p := range peers {
		c := open[int](t, p, "window")
		short, cancel := context.WithCancel(ctx)
		var pending []*channel.Pending
		begun := make(chan int, 2*channel.Window)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range 2 * channel.Window {
				p := c.SendAsync(short, n)
				pending = append(pending, p)
				begun <- n
			}
		}()
		for range channel.Window {
			<-begun
		}
		select {
		case n := <-begun:
			t.Fatalf("peer %d: value %d was taken, nobody received", i, n)
		case <-time.After(50 * time.Millisecond):
		}
		to := open[int](t, peers[1-i], "window")
		for want := range 3 {
			if got, err := to.Receive(ctx); got != want || err != nil {
				t.Fatalf("received %d, %v", got, err)
			}
		}
		cancel()
		<-done
		sent := 0
		for n, p := range pending {
			switch err := p.Wait(); {
			case err == nil && sent == n:
				sent++
			case !errors.Is(err, context.Canceled):
				t.Errorf("peer %d: value %d: %v", i, n, err)
			}
		}
		if sent != 3 {
			t.Errorf("peer %d: %d values were received, of 3", i, sent)
		}
		empty(ctx, t, peers, "window")
	}
}

// What is under way when a channel's end is left, and what comes later, was not
// received.
func TestSendAsyncLeft(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 2, "left")
	for _, p := range peers {
		c := open[int](t, p, "left")
		first := c.SendAsync(ctx, 1)
		second := c.SendAsync(ctx, 2)
		c.Leave()
		for _, p := range []*channel.Pending{first, second, c.SendAsync(ctx, 3)} {
			if err := p.Wait(); !errors.Is(err, channel.ErrClosed) {
				t.Error(err)
			}
		}
		empty(ctx, t, peers, "left")
	}
}

// Values that cannot be encoded fail alone.
func TestSendAsyncOfWhatCannotTravel(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 2, "odd")
	from, to := open[any](t, peers[1], "odd"), open[any](t, peers[0], "odd")
	var got []any
	done := make(chan struct{})
	go func() {
		defer close(done)
		for len(got) < 2 {
			v, err := to.Receive(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			got = append(got, v)
		}
	}()
	a := from.SendAsync(ctx, "a")
	f := from.SendAsync(ctx, func() {})
	b := from.SendAsync(ctx, "b")
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		t.Error(err)
	}
	if f.Wait() == nil {
		t.Error("a function was sent")
	}
	<-done
	if !slices.Equal(got, []any{"a", "b"}) {
		t.Errorf("received %v", got)
	}
}

// The sender's memory is bounded by the window.
func TestSendAsyncMemory(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := homed(ctx, t, 2, "memory")
	from, to := open[[]byte](t, peers[1], "memory"), open[[]byte](t, peers[0], "memory")
	const n, size = 3000, 64 << 10 // 192 MiB
	go func() {
		for range n {
			to.Receive(ctx)
		}
	}()
	value := make([]byte, size)
	var pending []*channel.Pending // which keep nothing once they are done
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	for i := range n {
		pending = append(pending, from.SendAsync(ctx, value))
		if i%200 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if err := pending[n-1].Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d MiB", (most-before)>>20)
	if most-before > 64<<20 {
		t.Errorf("%d MiB in use", (most-before)>>20)
	}
}
