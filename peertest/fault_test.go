package peertest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// each runs a test on networks of all kinds, those in memory in virtual time.
func each(t *testing.T, test func(t *testing.T, opts *peertest.Options)) {
	t.Run("TCP", func(t *testing.T) { test(t, &peertest.Options{}) })
	t.Run("simulated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, &peertest.Options{Simulated: true, Latency: time.Millisecond}) })
	})
}

// connected reports whether peer i has a connection to peer j.
func connected(nw *peertest.Network, i, j int) bool {
	for _, p := range nw.Peer(i).Peers() {
		if p.ID.String() == nw.Peer(j).ID() {
			return true
		}
	}
	return false
}

// until waits until f is true.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func TestKillAndRestart(t *testing.T) { each(t, testKillAndRestart) }

func testKillAndRestart(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 3, opts)
	const name = "jobs"
	first := open(t, nw.Peer(0), name)
	second, third := open(t, nw.Peer(1), name), open(t, nw.Peer(2), name)
	if err := exchange(t, first, second, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := first.Receive(context.Background())
		waiting <- err
	}()
	farewell := []*peertest.Stop{
		nw.StopAt(1, peertest.Step{Frame: peertest.Leave, When: peertest.Receiving}),
		nw.StopAt(2, peertest.Step{Frame: peertest.Leave, When: peertest.Receiving}),
	}
	old := nw.Peer(0)
	nw.Kill(0)
	if err := <-waiting; !errors.Is(err, channel.ErrClosed) {
		t.Errorf("a receive of the killed peer: %v", err)
	}
	until(t, "the others notice", func() bool { return !connected(nw, 1, 0) && !connected(nw, 2, 0) })
	for _, s := range farewell {
		select {
		case <-s.Reached():
			t.Error("the killed peer said goodbye")
		default:
		}
		s.Go()
	}
	if err := exchange(t, second, third, 20*time.Second); err != nil {
		t.Errorf("between the others: %v", err)
	}
	nw.Kill(0) // does nothing
	nw.Restart(0)
	if p := nw.Peer(0); p == old || p.ID() != old.ID() || p.Addrs()[0] != nw.Peers()[0].Addrs()[0] {
		t.Errorf("restarted, peer %s is %s", old.ID(), p.ID())
	}
	if err := exchange(t, third, open(t, nw.Peer(0), name), 20*time.Second); err != nil {
		home, view := nw.Home(within(t, time.Second), name)
		t.Errorf("with the restarted peer: %v; home %d, %v; peer 0 is %s and knows %v", err, home, view, nw.Peer(0).ID(), nw.Peer(0).Peers())
	}
}

func TestLeave(t *testing.T) { each(t, testLeave) }

func testLeave(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 2, opts)
	if err := exchange(t, open(t, nw.Peer(0), "a"), open(t, nw.Peer(1), "a"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	farewell := nw.StopAt(1, peertest.Step{Frame: peertest.Leave, When: peertest.Sent})
	go func() {
		if farewell.Wait(t.Context()) == nil {
			farewell.Go()
		}
	}()
	nw.Leave(1)
	select {
	case <-farewell.Reached():
	default:
		t.Error("it left without a word")
	}
	until(t, "the other notices", func() bool { return !connected(nw, 0, 1) })
	nw.Restart(1)
	if err := exchange(t, open(t, nw.Peer(0), "a"), open(t, nw.Peer(1), "a"), 10*time.Second); err != nil {
		t.Error(err)
	}
}

func TestPartitionAndHeal(t *testing.T) { each(t, testPartitionAndHeal) }

func testPartitionAndHeal(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 4, opts)
	const name = "split"
	var ends []*channel.Channel[string]
	for _, p := range nw.Peers() {
		ends = append(ends, open(t, p, name))
	}
	for i := range ends {
		if err := exchange(t, ends[i], ends[(i+1)%4], 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	nw.Partition([]int{0, 1}, []int{2, 3})
	until(t, "connections across end", func() bool { return !connected(nw, 2, 0) && !connected(nw, 3, 1) && !connected(nw, 0, 3) })
	if _, err := nw.Peer(0).Connect(t.Context(), nw.Peer(2).Addrs()[0]); err == nil {
		t.Error("connected across")
	}
	for _, half := range [][2]int{{0, 1}, {2, 3}} {
		if err := exchange(t, ends[half[0]], ends[half[1]], 20*time.Second); err != nil {
			t.Errorf("within a half: %v", err)
		}
	}
	if err := exchange(t, ends[1], ends[2], 500*time.Millisecond); err == nil {
		t.Error("a value got across")
	}
	nw.Heal()
	nw.Connect(0, 2)
	if err := exchange(t, ends[1], ends[3], 30*time.Second); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestCut(t *testing.T) { each(t, testCut) }

func testCut(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 2, opts)
	a, b := open(t, nw.Peer(0), "blink"), open(t, nw.Peer(1), "blink")
	since := func() time.Time { return nw.Peer(0).Peers()[0].Since }
	for range 5 {
		if err := exchange(t, a, b, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		before := since()
		nw.Cut(1, 0)
		if err := exchange(t, a, b, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		if since() == before {
			t.Error("the connection is the same")
		}
	}
}

func TestSlow(t *testing.T) { each(t, testSlow) }

func testSlow(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 2, opts)
	a, b := open(t, nw.Peer(0), "slow"), open(t, nw.Peer(1), "slow")
	took := func() time.Duration {
		start := time.Now()
		if err := exchange(t, a, b, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	took()
	nw.Slow(0, 1, 100*time.Millisecond, 0)
	if d := took(); d < 200*time.Millisecond {
		t.Errorf("a value and its receipt took %v over a link of 100 ms", d)
	}
	nw.Slow(0, 1, 0, 100<<10)
	go a.Send(t.Context(), string(make([]byte, 50<<10)))
	start := time.Now()
	if _, err := b.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 450*time.Millisecond || d > 10*time.Second {
		t.Errorf("50 KiB took %v at 100 KiB/s", d)
	}
	nw.Slow(0, 1, 0, 0)
	if d := took(); d > 5*time.Second {
		t.Errorf("a value took %v over a fast link", d)
	}
}

func TestMute(t *testing.T) { each(t, testMute) }

func testMute(t *testing.T, opts *peertest.Options) {
	nw := peertest.New(t, 2, opts)
	a, b := open(t, nw.Peer(0), "silence"), open(t, nw.Peer(1), "silence")
	if err := exchange(t, a, b, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	nw.Mute(0, 1)
	sent := make(chan error, 1)
	go func() { sent <- a.Send(t.Context(), "late") }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if v, err := b.Receive(ctx); err == nil {
		t.Fatalf("received %q", v)
	}
	if !connected(nw, 0, 1) {
		t.Error("they were told")
	}
	nw.Heal()
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if v, err := b.Receive(ctx); err != nil || v != "late" {
		t.Errorf("received %q, %v", v, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
