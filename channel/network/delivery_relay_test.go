package network_test

import (
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
)

// reaching starts a receive at a peer whose home is h, which hears of it.
func (h *hostile) reaching(name channel.Name) (receive uint64, received <-chan string) {
	h.t.Helper()
	h.say(h.hello(name, 1, 1000, h.node.ID()))
	h.ping()
	got := make(chan string, 1)
	to := open[[]byte](h.t, h.victim, name)
	go func() {
		v, err := to.Receive(h.ctx)
		if err != nil {
			h.t.Error(err)
		}
		got <- string(v)
	}()
	return h.await(func(f network.Frame) bool { return f.Kind == network.Receive }).Receive, got
}

// raw is text as a channel of []byte encodes it: behind the name of its type.
func raw(text string) []byte { return []byte("\x07[]uint8" + text) }

// Two peers that dialled each other at once have two sessions, and the home passes
// a value on by another than the receive was said on.
func TestPassedOnBySecondSession(t *testing.T) {
	ctx := within(t, 30*time.Second)
	const name = channel.Name("two sessions")
	node, victim := startNode(t), startPeer(t)
	open[[]byte](t, victim, name)
	first := attack(ctx, t, node, victim, true)
	receive, received := first.reaching(name)
	second := attack(ctx, t, node, victim, true)
	second.say(second.hello(name, 1, 1000, node.ID()))
	far := startNode(t).ID()
	second.say(network.Frame{Kind: network.Deliver, Number: 1, Send: 7, Receive: receive, Peer: far, Value: raw("hello")})
	if f := second.await(func(f network.Frame) bool { return f.Send == 7 }); f.Kind != network.Accept || f.Peer != far {
		t.Errorf("the answer is %+v", f)
	}
	if got := <-received; got != "hello" {
		t.Errorf("received %q", got)
	}
}

// A value came by way of the home, and its owner, who has not heard so, offers it
// again itself: it is known, and not received twice.
func TestPassedOnAndOfferedAgain(t *testing.T) {
	ctx := within(t, 30*time.Second)
	const name = channel.Name("offered again")
	node, victim := startNode(t), startPeer(t)
	c := open[[]byte](t, victim, name)
	home := attack(ctx, t, node, victim, true)
	receive, received := home.reaching(name)
	owner := attack(ctx, t, startNode(t), victim, true)
	owner.join(name)
	offer := network.Frame{Kind: network.Deliver, Number: 1, Send: 7, Receive: receive, Peer: owner.node.ID(), Value: raw("hello")}
	home.say(offer)
	home.await(func(f network.Frame) bool { return f.Kind == network.Accept && f.Send == 7 })
	if got := <-received; got != "hello" {
		t.Errorf("received %q", got)
	}

	next := make(chan string)
	go func() {
		v, _ := c.Receive(ctx)
		next <- string(v)
	}()
	offer.Receive = home.await(func(f network.Frame) bool { return f.Kind == network.Receive }).Receive
	offer.Peer, offer.Resumed = "", true
	owner.say(offer)
	if f := owner.await(func(f network.Frame) bool { return f.Send == 7 }); f.Kind != network.Accept {
		t.Errorf("the answer is %+v", f)
	}
	home.say(network.Frame{Kind: network.Deliver, Number: 1, Send: 8, Receive: offer.Receive, Peer: owner.node.ID(), Value: raw("next")})
	if got := <-next; got != "next" {
		t.Errorf("received %q", got)
	}
}

// A value that its owner offered again itself is refused when it comes by way of
// the home, too late. The home strikes the receive out: it has to hear of it again.
func TestReceiveIsSaidAgain(t *testing.T) {
	ctx := within(t, 30*time.Second)
	const name = channel.Name("said again")
	node, victim := startNode(t), startPeer(t)
	open[[]byte](t, victim, name)
	home := attack(ctx, t, node, victim, true)
	receive, received := home.reaching(name)

	owner := attack(ctx, t, startNode(t), victim, true)
	owner.join(name)
	owner.say(network.Frame{Kind: network.Deliver, Number: 1, Send: 7, Receive: receive + 1, Resumed: true, Value: []byte("to nobody")})
	owner.await(func(f network.Frame) bool { return f.Kind == network.Refuse && f.Send == 7 })

	late := network.Frame{Kind: network.Deliver, Number: 1, Send: 7, Receive: receive, Peer: owner.node.ID(), Value: []byte("late")}
	home.say(late)
	home.await(func(f network.Frame) bool { return f.Kind == network.Refuse && f.Send == 7 })
	home.await(func(f network.Frame) bool { return f.Kind == network.Receive && f.Receive == receive })
	late.Send, late.Value = 8, raw("hello")
	home.say(late)
	if got := <-received; got != "hello" {
		t.Errorf("received %q", got)
	}
}

// The home hears late that a match was refused, when its receive has been said,
// and matched, again.
func TestRefusedLate(t *testing.T) {
	ctx := within(t, 30*time.Second)
	const name = channel.Name("late")
	home := startPeer(t)
	open[[]byte](t, home, name)
	agree(ctx, t, name, home)
	receiver, sender := attack(ctx, t, startNode(t), home, true), attack(ctx, t, startNode(t), home, true)
	receiver.join(name)
	sender.join(name)
	match := func(send uint64) {
		t.Helper()
		sender.say(network.Frame{Kind: network.Send, Number: 1, Send: send})
		sender.await(func(f network.Frame) bool { return f.Kind == network.Match && f.Send == send && f.Receive == 5 })
	}
	settle := func(send uint64, outcome network.Frame) {
		outcome.Kind, outcome.Number, outcome.Send, outcome.Receive = network.MatchResult, 1, send, 5
		sender.say(outcome)
		sender.ping()
	}
	for _, send := range []uint64{1, 2} {
		receiver.say(network.Frame{Kind: network.Receive, Number: 1, Receive: 5})
		receiver.ping()
		match(send)
	}
	settle(1, network.Frame{Outcome: network.Refused})
	settle(2, network.Frame{Outcome: network.Gone})
	match(3)
}
