package tasklet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A tasklet that moves without end, and never by way of the peer that started it,
// has its claim shortened by that peer. When that peer is gone, the moves that a
// claim has room for are made, and the next one is refused until it is back.
func TestLongClaim(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	dir := t.TempDir()
	hosts := functionPeers(t, 2)
	origin := startAt(t, dir, tcp)
	connect := func() {
		for _, p := range hosts {
			must[p2p.ID](t)(p.node.Connect(ctx, origin.node.Addrs()[0]))
		}
	}
	connect()
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, prints(0)))
	id, ref := tl.ID(), must[tasklet.Ref](t)(tl.Ref())
	if err := tl.Move(ctx, hosts[0].id()); err != nil {
		t.Fatal(err)
	}
	at := 0
	move := func() error {
		tl := must[*tasklet.Tasklet](t)(ref.Open(ctx, hosts[at]))
		err := tl.Move(ctx, hosts[1-at].id())
		if err == nil {
			at = 1 - at
		}
		return err
	}
	longest := 0
	n := tasklet.MaxLinks/2 + 10
	if *long {
		n = tasklet.MaxLinks + 10
	}
	for range n {
		if err := move(); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, hosts[at].Links(id))
	}
	if longest < 100 || longest > tasklet.MaxLinks/2+1 {
		t.Errorf("a claim had %d links", longest)
	}
	if !*long {
		return
	}
	origin.close()
	for {
		links := hosts[at].Links(id)
		err := move()
		if links < tasklet.MaxLinks && err != nil {
			t.Fatalf("with %d links: %v", links, err)
		}
		if links == tasklet.MaxLinks {
			if !errors.Is(err, tasklet.ErrRefused) || !strings.Contains(err.Error(), origin.id()) {
				t.Errorf("with %d links: %v", links, err)
			}
			break
		}
	}
	if !hosts[at].Live(id) {
		t.Error("it does not go on")
	}
	origin = startAt(t, dir, tcp)
	connect()
	if err := move(); err != nil {
		t.Error(err)
	}
	if n := hosts[at].Links(id); n != 2 {
		t.Errorf("the claim has %d links", n)
	}
}

// A tasklet that an operator has decided about, because its source is gone, moves
// on when the peer that started it has confirmed where it is.
func TestDecidedMovesOn(t *testing.T) {
	ctx := within(t, time.Minute)
	peers := functionPeers(t, 3)
	origin, host, next := peers[0], peers[1], peers[2]
	source := rawNode(t, peers...)
	captives := capture(t, source)
	tl := must[*tasklet.Tasklet](t)(origin.Go(ctx, prints(0)))
	if err := tl.Move(ctx, source.ID().String()); err != nil {
		t.Fatal(err)
	}
	got := <-captives
	source.Handle(tasklet.Protocol, func(s p2p.Stream) { s.Reset() })
	o, c := got.offer, got.cont
	o.Claim, c.Claim = got.Claim, got.Claim
	s, tag, text := bring(t, source, host, o, c)
	if tag != prepared {
		t.Fatalf("message %d, %q", tag, text)
	}
	s.Reset()
	eventually(ctx, t, "the wait for the source", func() bool { _, err := host.Find(string(tl.ID())); return err == nil })
	waits := must[*tasklet.Tasklet](t)(host.Find(string(tl.ID())))
	if err := waits.Decide(ctx, true); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the tasklet at its destination", func() bool { return host.Live(tl.ID()) })
	here := must[*tasklet.Tasklet](t)(must[tasklet.Ref](t)(waits.Ref()).Open(ctx, host))
	if err := here.Move(ctx, next.id()); err != nil {
		t.Fatal(err)
	}
	if n := next.Links(tl.ID()); n != 2 {
		t.Errorf("the claim has %d links", n)
	}
	eventually(ctx, t, "its origin to know", func() bool { return look(t, tl).Host == next.id() })
	// What the source shows is an old copy from then on.
	if _, tag, text := bring(t, source, origin, o, c); tag != failure {
		t.Errorf("message %d, %q", tag, text)
	}
}
