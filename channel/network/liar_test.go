package network_test

import (
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
)

// A home matches two sends with one receive, and one send with two. Each value is
// received once all the same, and when the liar has gone the rest goes on.
func TestHomeMatchesTwice(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	const name = channel.Name("twice")
	from, to := open[string](t, peers[0], name), open[string](t, peers[1], name)
	agree(ctx, t, name, peers...)
	node := startNode(t)
	sender, receiver := attack(ctx, t, node, peers[0], true), attack(ctx, t, node, peers[1], true)
	for _, h := range []*hostile{sender, receiver} {
		h.say(h.hello(name, 1, 1000, node.ID()))
		h.live()
	}
	for agree(ctx, t, name, peers...) != node.ID().String() { // they may not have heard yet
	}

	const n = 3
	sent, received := make(chan error, n), make(chan string, n)
	value := string(make([]byte, 200_000)) // too large to go along with the request
	for i := range n {
		go func() { sent <- from.Send(ctx, value+string(rune('a'+i))) }()
		go func() {
			v, err := to.Receive(ctx)
			if err != nil {
				t.Error(err)
			}
			received <- v
		}()
	}
	var sends []network.Frame
	var receives []uint64
	for range n {
		sends = append(sends, sender.await(func(f network.Frame) bool { return f.Kind == network.Send }))
		receives = append(receives, receiver.await(func(f network.Frame) bool { return f.Kind == network.Receive }).Receive)
	}
	match := func(s network.Frame, r uint64) network.Frame {
		return network.Frame{Kind: network.Match, Number: 1, Send: s.Send, Attempt: s.Attempt, Receive: r, Peer: peers[1].node.ID(), Addrs: peers[1].node.Addrs()}
	}
	sender.say(match(sends[0], receives[0]), match(sends[1], receives[0]), match(sends[2], receives[1]), match(sends[2], receives[2]))
	seen := map[string]int{}
	for range 2 { // the first two matches that are good
		seen[<-received]++
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	if sender.isOver() {
		t.Error("they waited until the liar was given up")
	}
	sender.end()
	receiver.end()
	seen[<-received]++
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if len(seen) != n {
		t.Errorf("%d different values were received, want %d", len(seen), n)
	}
	honest(ctx, t, name, peers[0], peers[1])
}

// Two peers each say that the other is the home, again and again. When they have
// gone, or while they go on, the others find a home.
func TestHomesInCircles(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	const name = channel.Name("circles")
	open[string](t, peers[0], name)
	open[string](t, peers[1], name)
	agree(ctx, t, name, peers...)
	one, other := startNode(t), startNode(t)
	var liars []*hostile
	for _, victim := range peers {
		liars = append(liars, attack(ctx, t, one, victim, true), attack(ctx, t, other, victim, true))
	}
	for round := range uint64(200) {
		home := one.ID()
		if round%2 == 0 {
			home = other.ID()
		}
		for _, l := range liars {
			l.say(l.hello(name, 1, 1000+round, home))
		}
	}
	for _, l := range liars {
		l.ping()
		l.end()
	}
	honest(ctx, t, name, peers[0], peers[1])
	agree(ctx, t, name, peers...)
}
