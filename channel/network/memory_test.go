package network_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/p2p"
)

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal(what)
		}
	}
}

// keeper starts two peers that share a channel, and returns its home first.
func keeper(t *testing.T, name channel.Name, set func(*peer)) (home, member *peer) {
	t.Helper()
	ctx := within(t, 60*time.Second)
	home, member = startPeer(t, "/ip4/127.0.0.1/tcp/0"), startPeer(t, "/ip4/127.0.0.1/tcp/0")
	if set != nil {
		set(home)
		set(member)
	}
	open[string](t, home, name)
	agree(ctx, t, name, home)
	if _, err := member.node.Connect(ctx, home.node.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	open[string](t, member, name)
	if agree(ctx, t, name, home, member) != home.node.ID().String() {
		return member, home
	}
	return home, member
}

// One who has proved no name begins long frames: nothing of them is kept, and the
// session goes on.
func TestLongFramesOfStrangers(t *testing.T) {
	ctx := within(t, 60*time.Second)
	victim, member := keeper(t, "long", nil)
	h := attack(ctx, t, startNode(t), victim, true)
	const size = 4 << 20
	body := make([]byte, size)
	body[0] = byte(network.Deliver)
	for range 4 {
		h.write(append(binary.AppendUvarint(nil, size), body[:size/2]...))
		if kept := victim.MemoryOf(h.node.ID()); kept > 256<<10 {
			t.Errorf("%d bytes are kept for one who has proved no name", kept)
		}
		h.write(body[size/2:])
		h.ping()
	}
	h.end()
	honest(ctx, t, "long", victim, member)
}

// One who has proved a name may begin long frames, and what they take counts.
func TestLongFramesOfMembers(t *testing.T) {
	ctx := within(t, 60*time.Second)
	const name = channel.Name("long")
	victim, member := keeper(t, name, func(p *peer) { p.SetMemoryLimits(64<<20, 16<<20, 20<<20) })
	node := startNode(t)
	var last *hostile
	for range 3 {
		last = attack(ctx, t, node, victim, true)
		last.join(name)
		last.write(append(binary.AppendUvarint(nil, network.MaxFrameBytes), make([]byte, 1000)...))
	}
	eventually(t, "two sessions have begun frames of 16 MiB each, of 20 MiB", func() bool { return last.isOver() && victim.MemoryOf(node.ID()) <= 20<<20 })
	honest(ctx, t, name, victim, member)
	node.Close()
	eventually(t, "something is kept for a peer that has gone", func() bool { return victim.MemoryOf(node.ID()) == 0 })
	honest(ctx, t, name, member, victim)
}

// Sessions count for the address that they come from: who opens many under many
// IDs loses his own.
func TestSessionsOfManyPeers(t *testing.T) {
	ctx := within(t, 60*time.Second)
	const each = 64 << 10
	victim, member := keeper(t, "many", func(p *peer) { p.SetMemoryLimits(64<<20, 10*each, 1<<20) })
	var all []*hostile
	for range 12 {
		node := startNode(t)
		all = append(all, attack(ctx, t, node, victim, true), attack(ctx, t, node, victim, true))
	}
	eventually(t, "strangers keep all their sessions", func() bool {
		kept := 0
		for _, h := range all {
			kept += victim.MemoryOf(h.node.ID())
		}
		return kept/2 <= 10*each
	})
	honest(ctx, t, "many", victim, member)
	latest := attack(ctx, t, startNode(t), victim, true)
	latest.ping() // who comes next is heard
}

// A member gives a channel number after number: the last one counts.
func TestNumbers(t *testing.T) {
	ctx := within(t, 60*time.Second)
	const name = channel.Name("numbers")
	victim, member := keeper(t, name, nil)
	h := attack(ctx, t, startNode(t), victim, true)
	h.join(name)
	before := victim.MemoryOf(h.node.ID())
	const n = 20_000
	for i := range uint64(n) {
		if err := h.say(h.hello(name, 100+i, 0, "")); err != nil {
			t.Fatal(err)
		}
	}
	h.ping()
	if kept := victim.MemoryOf(h.node.ID()) - before; kept > 128<<10 {
		t.Errorf("%d bytes more are kept for %d numbers of one channel", kept, n)
	}
	// An old number means nothing any more.
	h.say(network.Frame{Kind: network.Send, Number: 100, Send: 7})
	h.ping()
	if sends, _, _ := victim.Homed(name); sends != 0 {
		t.Errorf("%d sends were heard under a number that was replaced", sends)
	}
	h.say(network.Frame{Kind: network.Send, Number: 100 + n - 1, Send: 7})
	h.ping()
	if sends, _, _ := victim.Homed(name); sends != 1 {
		t.Errorf("%d sends are known, want 1", sends)
	}
	h.end()
	honest(ctx, t, name, victim, member)
}

// A peer has values passed on to another that reads nothing: the home refuses
// what is too much, and forgets what it passed on when that one is gone.
func TestPassedOnUnread(t *testing.T) {
	ctx := within(t, 120*time.Second)
	const name = channel.Name("passed")
	home, member := keeper(t, name, nil)
	deaf := attack(ctx, t, startNode(t), home, false)
	info := home.Channels()[0]
	deaf.say(deaf.hello(name, 1, home.Term(name), home.node.ID()))
	eventually(t, "the deaf member is not known", func() bool { return home.Channels()[0].Members > info.Members })
	pinging := make(chan struct{})
	defer close(pinging)
	go func() {
		for {
			select {
			case <-pinging:
				return
			case <-time.After(500 * time.Millisecond):
				deaf.say(network.Frame{Kind: network.Ping})
			}
		}
	}()
	h := attack(ctx, t, startNode(t), home, true)
	h.join(name)
	value := make([]byte, 1<<20)
	const n = 4 * network.MaxRelayedBytes >> 20
	for i := range uint64(n) {
		if err := h.say(network.Frame{Kind: network.Deliver, Number: 1, Send: 1 + i, Receive: 1, Peer: deaf.node.ID(), Relay: true, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	h.await(func(f network.Frame) bool { return f.Kind == network.Refuse })
	h.ping()
	if kept := home.MemoryOf(deaf.node.ID()); kept > network.MaxRelayedBytes+1<<20 {
		t.Errorf("%d MiB are kept for one who does not read", kept>>20)
	}
	if kept := home.MemoryOf(h.node.ID()); kept > 2<<20 {
		t.Errorf("%d MiB are kept for the sender", kept>>20)
	}
	honest(ctx, t, name, home, member)
	deaf.end()
	eventually(t, "something is kept for a peer that has gone", func() bool { return home.MemoryOf(deaf.node.ID()) == 0 })
	honest(ctx, t, name, member, home)
}

// A home brings values again and again that peers have sent which do not exist:
// what is remembered of them is bounded, and the session ends.
func TestValuesOfNobody(t *testing.T) {
	ctx := within(t, 120*time.Second)
	const name, limit = channel.Name("nobody"), 2000
	victim, member := keeper(t, name, func(p *peer) { p.SetRemembered(3*limit, limit, limit) })
	h := attack(ctx, t, startNode(t), victim, true)
	h.say(h.hello(name, 1, victim.Term(name)+1, h.node.ID()))
	h.ping()
	h.bringNobodys(1, 2*limit)
	h.isReset()
	if n := victim.RememberedOfAll(); n > 3*limit {
		t.Fatalf("%d sends are remembered", n)
	}
	h.end()
	honest(ctx, t, name, victim, member)
	honest(ctx, t, name, member, victim)
}

// bringNobodys passes on values of n peers that do not exist, as a home does.
func (h *hostile) bringNobodys(first, n uint64) {
	for i := first; i < first+n && !h.isOver(); {
		var frames []network.Frame
		for range 100 {
			frames = append(frames, network.Frame{
				Kind: network.Deliver, Number: 1, Send: i, Receive: 1 << 60, Peer: p2p.ID(fmt.Sprint("nobody ", i)), Resumed: true, Value: []byte{},
			})
			i++
		}
		h.say(frames...)
	}
}

// Two peers have the home match their operations, and say nothing of what came of
// it: what the home notes counts for the sender, whose session ends.
func TestMatchesWithoutEnd(t *testing.T) {
	ctx := within(t, 120*time.Second)
	const name = channel.Name("matches")
	home, member := keeper(t, name, func(p *peer) { p.SetMemoryLimits(64<<20, 16<<20, 1<<20) })
	from := attack(ctx, t, startNode(t), home, true)
	from.join(name)
	// It does not say whom it takes for the home, lest it becomes that.
	to := attack(ctx, t, startNode(t), home, true)
	to.say(to.hello(name, 1, 0, ""))
	for i := uint64(1); i < 20_000 && !from.isOver(); {
		var receives, sends []network.Frame
		for range 100 {
			receives = append(receives, network.Frame{Kind: network.Receive, Number: 1, Receive: i})
			sends = append(sends, network.Frame{Kind: network.Send, Number: 1, Send: i})
			i++
		}
		to.say(receives...)
		from.say(sends...)
	}
	eventually(t, "the sender's session goes on", from.isOver)
	from.end()
	to.end()
	if sends, receives, pairs := home.Homed(name); sends+receives+pairs > 0 {
		t.Errorf("%d sends, %d receives and %d matches stay behind", sends, receives, pairs)
	}
	honest(ctx, t, name, home, member)
}
