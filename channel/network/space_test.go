package network_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A peer is all that a space stands on.
type peer struct {
	*network.Space
	node *p2p.Node
	dht  *dht.DHT
}

func (p *peer) close() {
	p.Space.Close()
	p.dht.Close()
	p.node.Close()
}

func startPeer(t testing.TB, listen ...string) *peer {
	t.Helper()
	if listen == nil {
		listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	}
	p, err := newPeer(listen...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func newPeer(listen ...string) (*peer, error) {
	node, err := p2p.Start(&p2p.Options{Listen: listen})
	if err != nil {
		return nil, err
	}
	table, err := dht.Start(node, nil)
	if err != nil {
		node.Close()
		return nil, err
	}
	return &peer{network.Start(node, table, nil), node, table}, nil
}

// startPeers starts n peers, of which all know the first.
func startPeers(t testing.TB, n int, listen ...string) []*peer {
	t.Helper()
	peers := []*peer{startPeer(t, listen...)}
	for len(peers) < n {
		p := startPeer(t, listen...)
		if _, err := p.node.Connect(t.Context(), peers[0].node.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	return peers
}

func open[T any](t testing.TB, p *peer, name channel.Name) *channel.Channel[T] {
	t.Helper()
	c, err := channel.Open[T](t.Context(), p, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAlone(t *testing.T) {
	p := startPeer(t)
	a, b := open[string](t, p, "greetings"), open[string](t, p, "greetings")
	go a.Send(t.Context(), "hello")
	if got, err := b.Receive(t.Context()); got != "hello" || err != nil {
		t.Fatalf("received %q, %v", got, err)
	}
}

func TestTwoPeers(t *testing.T) {
	for _, size := range []int{10, 100_000, 1_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			peers := startPeers(t, 2)
			name := channel.Name("bytes")
			for _, way := range []struct{ from, to int }{{0, 1}, {1, 0}, {0, 1}} {
				from, to := open[[]byte](t, peers[way.from], name), open[[]byte](t, peers[way.to], name)
				sent := make(chan error, 1)
				for i := range 20 {
					go func() { sent <- from.Send(t.Context(), append(make([]byte, size), byte(i))) }()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					got, err := to.Receive(ctx)
					cancel()
					if err != nil || len(got) != size+1 || got[size] != byte(i) {
						t.Fatalf("%v: received %d bytes, %v", way, len(got), err)
					}
					if err := <-sent; err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// Every value once, over several peers, senders and receivers, while some
// contexts are cancelled.
func TestExactlyOnce(t *testing.T) {
	const peerCount, each = 4, 300
	peers := startPeers(t, peerCount)
	for _, p := range peers {
		open[string](t, p, "work")
	}
	agree(within(t, 10*time.Second), t, "work", peers...)
	var (
		mu       sync.Mutex
		sent     = map[string]error{}
		received = map[string]int{}
	)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	stop, finish := context.WithCancel(ctx)
	var senders, receivers sync.WaitGroup
	for p, peer := range peers {
		c := open[string](t, peer, "work")
		for g := range 2 {
			senders.Go(func() {
				for i := range each {
					v := fmt.Sprintf("%d.%d.%d", p, g, i)
					ctx, cancel := context.WithTimeout(ctx, time.Duration(200+i*37%3000)*time.Microsecond)
					err := c.Send(ctx, v)
					cancel()
					mu.Lock()
					sent[v] = err
					mu.Unlock()
				}
			})
			receivers.Go(func() {
				for {
					v, err := c.Receive(stop)
					if err != nil {
						return
					}
					mu.Lock()
					received[v]++
					mu.Unlock()
				}
			})
		}
	}
	senders.Wait()
	finish()
	receivers.Wait()
	good := 0
	for v, err := range sent {
		switch n := received[v]; {
		case err == nil && n != 1:
			t.Errorf("%s was sent and received %d times", v, n)
		case err != nil && n != 0:
			t.Errorf("%s was not sent (%v) and received %d times", v, err, n)
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			t.Errorf("%s: %v", v, err)
		case err == nil:
			good++
		}
	}
	t.Logf("%d of %d sent", good, len(sent))
	if good == 0 {
		t.Error("nothing arrived")
	}
}
