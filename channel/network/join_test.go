package network_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// homeOf returns the home of a channel as p sees it.
func homeOf(p *peer, name channel.Name) string {
	for _, c := range p.Channels() {
		if c.Name == name {
			return c.Home
		}
	}
	return ""
}

// agree waits until all peers take the same one for the home, and returns it.
func agree(ctx context.Context, t testing.TB, name channel.Name, peers ...*peer) string {
	t.Helper()
	for {
		homes := map[string]bool{}
		for _, p := range peers {
			homes[homeOf(p, name)] = true
		}
		if len(homes) == 1 && !homes[""] {
			return homeOf(peers[0], name)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("peers disagree about the home of %q: %v", name, homes)
		}
	}
}

// exchange sends a value from one peer to another.
func exchange(ctx context.Context, t *testing.T, name channel.Name, from, to *peer, value string) {
	t.Helper()
	a, b := open[string](t, from, name), open[string](t, to, name)
	sent := make(chan error, 1)
	go func() { sent <- a.Send(ctx, value) }()
	if got, err := b.Receive(ctx); err != nil || got != value {
		t.Fatalf("received %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// Peers that open a channel at the same time, and none finds the other, become
// homes; they meet and agree.
func TestHomesMeet(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := []*peer{startPeer(t), startPeer(t), startPeer(t)}
	for _, p := range peers {
		open[string](t, p, "meet")
		agree(ctx, t, "meet", p) // alone
	}
	for _, p := range peers[1:] {
		if _, err := p.node.Connect(ctx, peers[0].node.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	agree(ctx, t, "meet", peers...)
	for i, from := range peers {
		for j, to := range peers {
			exchange(ctx, t, "meet", from, to, fmt.Sprint(i, j))
		}
	}
}

// What waited at a home that loses is submitted to the one that wins.
func TestWaitersSurviveMeeting(t *testing.T) {
	ctx := within(t, 30*time.Second)
	a, b := startPeer(t), startPeer(t)
	from, to := open[string](t, a, "waiting"), open[string](t, b, "waiting")
	sent := make(chan error, 1)
	go func() { sent <- from.Send(ctx, "patience") }()
	received := make(chan string, 1)
	go func() {
		v, _ := to.Receive(ctx)
		received <- v
	}()
	agree(ctx, t, "waiting", a)
	agree(ctx, t, "waiting", b)
	if _, err := b.node.Connect(ctx, a.node.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	if v := <-received; v != "patience" {
		t.Errorf("received %q", v)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// A peer leaves a channel and opens it again, while its home waits to send.
func TestLeaveAndReturn(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := startPeers(t, 2)
	from := open[int](t, peers[0], "revolving")
	agree(ctx, t, "revolving", peers[0])
	sent := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := from.Send(ctx, i); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range 50 {
		to := open[int](t, peers[1], "revolving")
		if got, err := to.Receive(ctx); err != nil || got != i {
			t.Fatalf("received %d, %v; want %d", got, err, i)
		}
		withdrawn, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := to.Receive(withdrawn); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		to.Leave()
		if _, err := to.Receive(ctx); !errors.Is(err, channel.ErrClosed) {
			t.Fatalf("after leaving: %v", err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// The home goes; the others find a new one among them.
func TestHomeGoes(t *testing.T) {
	for _, how := range []string{"in order", "without a word"} {
		t.Run(how, func(t *testing.T) {
			ctx := within(t, 60*time.Second)
			peers := startPeers(t, 4)
			home, rest := peers[0], peers[1:]
			if how == "without a word" { // the bootstrap peer stays
				home, rest = peers[3], []*peer{peers[0], peers[1], peers[2]}
			}
			open[string](t, home, "going")
			agree(ctx, t, "going", home)
			from, to := open[string](t, rest[0], "going"), open[string](t, rest[1], "going")
			open[string](t, rest[2], "going")
			agree(ctx, t, "going", peers...)
			// Too large to go along with the request to the home: it waits here.
			value := strings.Repeat("before", 50_000)
			sent := make(chan error, 1)
			go func() { sent <- from.Send(ctx, value) }()
			if how == "in order" {
				home.Space.Close()
			} else {
				home.node.Close()
			}
			if got, err := to.Receive(ctx); got != value || err != nil {
				t.Fatalf("received %d bytes, %v", len(got), err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if agree(ctx, t, "going", rest...) == home.node.ID().String() {
				t.Error("the home is still the one that went")
			}
		})
	}
}

// A value for a peer that the sender cannot reach goes by way of the home.
func TestByWayOfHome(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 3)
	home, a, b := peers[0], peers[1], peers[2]
	open[string](t, home, "way")
	agree(ctx, t, "way", home)
	block(a, b)
	block(b, a)
	from, to := open[string](t, a, "way"), open[string](t, b, "way")
	agree(ctx, t, "way", peers...)
	for i := range 3 {
		sent := make(chan error, 1)
		v := strings.Repeat("far", i*50_000+1)
		go func() { sent <- from.Send(ctx, v) }()
		if got, err := to.Receive(ctx); got != v || err != nil {
			t.Fatalf("received %d bytes, %v", len(got), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// block makes b unreachable for a.
func block(a, b *peer) {
	book, id := a.node.Host().Peerstore(), b.node.ID()
	a.node.Watch(func(peer p2p.ID, connected bool) {
		if connected && peer == id {
			a.node.Host().Network().ClosePeer(id)
		}
	})
	book.ClearAddrs(id)
}
