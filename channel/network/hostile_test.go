package network_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// Each attack is made on the home and on another member of a channel.
func TestHostile(t *testing.T) {
	const many = 2*network.MaxPending + 1
	const other = channel.Name("another channel")
	repeat := func(n int, f func(i uint64) network.Frame) []network.Frame {
		all := make([]network.Frame, n)
		for i := range all {
			all[i] = f(uint64(i))
		}
		return all
	}
	for _, test := range []struct {
		name  string
		home  bool // the home resets the session
		other bool // the other member does
		leave bool // the others go on when the hostile peer has gone
		act   func(h *hostile, name channel.Name)
	}{
		{"oversized frame", true, true, false, func(h *hostile, name channel.Name) {
			h.write(binary.AppendUvarint(nil, network.MaxFrameBytes+1))
		}},
		{"frame of 2 EB", true, true, false, func(h *hostile, name channel.Name) {
			h.write(binary.AppendUvarint(nil, 1<<61))
		}},
		{"truncated frame", true, true, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.write(append(binary.AppendUvarint(nil, 100), byte(network.Send), 1, 0))
			h.stream.CloseWrite()
		}},
		{"truncated value", true, true, false, func(h *hostile, name channel.Name) {
			h.join(name)
			b := codec.AppendFrame(nil, network.Frame{Kind: network.Send, Number: 1, Send: 1, Value: make([]byte, 1<<20)}.Bytes())
			h.write(b[:len(b)-1])
			h.stream.CloseWrite()
		}},
		{"garbage", true, true, false, func(h *hostile, name channel.Name) {
			b := make([]byte, 4096)
			rand.Read(b)
			b[0] = 10 // a frame of 10 bytes, of a kind that there is not
			b[1] = 99
			h.write(b)
		}},
		{"empty frame", true, true, false, func(h *hostile, name channel.Name) { h.write([]byte{0}) }},
		{"unknown kind", true, true, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.write(codec.AppendFrame(nil, []byte{200, 1}))
		}},
		{"number of another channel", true, true, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(h.hello(other, 1, 0, ""))
		}},
		{"number given again", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(h.hello(name, 1, 0, ""), h.hello(name, 2, 0, ""))
		}},
		{"heard more than was said", true, true, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(network.Frame{Kind: network.Send, Number: 1, Send: 1, Acked: 1, Value: []byte{0}})
		}},
		{"heard less than before", true, true, false, func(h *hostile, name channel.Name) {
			h.say(network.Frame{Kind: network.Deliver, Number: 5, Acked: 1<<64 - 1, Value: []byte{0}})
		}},
		{"sends without end", true, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(repeat(many, func(i uint64) network.Frame { return network.Frame{Kind: network.Send, Number: 1, Send: i} })...)
		}},
		{"receives without end", true, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(repeat(many, func(i uint64) network.Frame { return network.Frame{Kind: network.Receive, Number: 1, Receive: i} })...)
		}},
		{"one send without end", false, false, true, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(repeat(many, func(i uint64) network.Frame { return network.Frame{Kind: network.Send, Number: 1, Send: 1} })...)
		}},
		{"withdraws", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(repeat(many, func(i uint64) network.Frame { return network.Frame{Kind: network.Receive, Number: 1, Receive: i % 50} })...)
			h.say(repeat(100, func(i uint64) network.Frame { return network.Frame{Kind: network.Withdraw, Number: 1, Send: i} })...)
		}},
		{"answers to what was not asked", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			for i := range uint64(100) {
				for _, peer := range []p2p.ID{"", "nobody", h.node.ID(), h.victim.node.ID()} {
					h.say(network.Frame{Kind: network.Accept, Number: 1, Send: i, Peer: peer},
						network.Frame{Kind: network.Refuse, Number: 1, Send: i, Peer: peer})
				}
				h.say(network.Frame{Kind: network.Queued, Number: 1, Send: i})
			}
		}},
		{"matches and settlements of others", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			for i := range uint64(100) {
				for _, peer := range []p2p.ID{"nobody", h.node.ID(), h.victim.node.ID()} {
					h.say(network.Frame{Kind: network.Match, Number: 1, Send: i, Receive: i, Peer: peer, Addrs: []string{"/ip4/0.0.0.0/tcp/1", "no address"}})
				}
				h.say(network.Frame{Kind: network.MatchResult, Number: 1, Send: i, Receive: i, Outcome: network.Accepted})
				h.say(network.Frame{Kind: network.MatchResult, Number: 1, Send: i, Receive: i, Outcome: network.Gone})
			}
		}},
		{"deliveries to nobody", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			for i := range uint64(100) {
				for _, peer := range []p2p.ID{"", "nobody", h.node.ID(), h.victim.node.ID()} {
					f := network.Frame{Kind: network.Deliver, Number: 1, Send: i, Receive: i, Peer: peer, Resumed: i%2 == 0, Value: []byte("value")}
					h.say(f)
					f.Relay = peer != ""
					h.say(f)
				}
			}
			h.ping()
			for _, f := range h.rest() {
				if f.Kind == network.Accept {
					h.t.Errorf("a delivery was accepted: %+v", f)
				}
			}
		}},
		{"leaves", false, false, false, func(h *hostile, name channel.Name) {
			h.join(name)
			h.say(network.Frame{Kind: network.Goodbye, Number: 1}, network.Frame{Kind: network.Goodbye, Number: 1},
				network.Frame{Kind: network.Send, Number: 1, Send: 3, Value: []byte("late")})
			h.say(network.Frame{Kind: network.Unknown, Key: network.KeyOf(name)})
			h.say(network.Frame{Kind: network.Unknown, Key: [32]byte{1}})
		}},
		{"home that does not match", false, false, true, func(h *hostile, name channel.Name) {
			h.say(h.hello(name, 1, 1000, h.node.ID()))
		}},
		{"home of the last generation", false, false, true, func(h *hostile, name channel.Name) {
			h.say(h.hello(name, 1, 1<<32, h.node.ID()))
		}},
		{"home that does not exist", false, false, false, func(h *hostile, name channel.Name) {
			h.say(h.hello(name, 1, 2000, "nobody"))
		}},
		{"home that does not exist, of the last generation", false, false, false, func(h *hostile, name channel.Name) {
			h.say(h.hello(name, 1, 1<<32, "nobody"))
		}},
		{"home after the last generation", true, true, false, func(h *hostile, name channel.Name) {
			h.say(h.hello(name, 1, 1<<32+1, h.node.ID()))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 60*time.Second)
			peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
			node := startNode(t)
			const name = channel.Name("target")
			for _, p := range peers {
				open[string](t, p, name)
				open[string](t, p, other)
			}
			home := agree(ctx, t, name, peers...)
			for _, victim := range peers {
				h := attack(ctx, t, node, victim, true)
				test.act(h, name)
				if isHome := victim.node.ID().String() == home; isHome && test.home || !isHome && test.other {
					h.isReset()
				} else {
					h.ping()
				}
				if test.leave {
					h.end()
				}
				honest(ctx, t, name, peers[0], peers[1])
				if !test.leave {
					h.end()
				}
				if sends, receives, pairs := victim.Homed(name); sends+receives+pairs > 0 {
					t.Errorf("%d sends, %d receives and %d matches stay behind", sends, receives, pairs)
				}
				honest(ctx, t, name, peers[1], peers[0])
				home = agree(ctx, t, name, peers...)
			}
		})
	}
}

// One who does not know the name learns nothing but that it is unknown.
func TestWrongProof(t *testing.T) {
	ctx := within(t, 30*time.Second)
	p := startPeer(t)
	open[string](t, p, "secret")
	agree(ctx, t, "secret", p)
	h := attack(ctx, t, startNode(t), p, true)
	defer h.end()
	h.ping() // of a channel that is not there
	right := h.hello("secret", 1, 1, h.node.ID())
	wrong := right
	wrong.Proof[0] ^= 1
	mine := right
	mine.Proof = network.Prove("secret", p.node.ID(), h.node.ID()) // the victim's own
	for _, f := range []network.Frame{wrong, mine, {Kind: network.Hello, Number: 1, Key: right.Key}} {
		h.say(f,
			network.Frame{Kind: network.Send, Number: 1, Send: 1, Value: []byte("x")},
			network.Frame{Kind: network.Receive, Number: 1, Receive: 2},
			network.Frame{Kind: network.Deliver, Number: 1, Send: 1, Receive: 2, Value: []byte("x")},
			network.Frame{Kind: network.Match, Number: 1, Send: 1, Receive: 2, Peer: h.node.ID()})
		h.await(func(f network.Frame) bool { return f.Kind == network.Unknown && f.Key == right.Key })
		h.ping()
		if rest := h.rest(); len(rest) > 0 {
			t.Errorf("the victim says %+v", rest)
		}
	}
	if home := homeOf(p, "secret"); home != p.node.ID().String() {
		t.Errorf("the home is %s now", home)
	}
}

// A sender that gets a receive set aside for it, and does not deliver, does not
// keep it from others.
func TestLyingSender(t *testing.T) {
	settle := func(outcome network.Frame) func(h *hostile, m network.Frame) {
		return func(h *hostile, m network.Frame) {
			h.say(network.Frame{Kind: network.MatchResult, Number: 1, Send: m.Send, Receive: m.Receive, Outcome: outcome.Outcome})
		}
	}
	for _, test := range []struct {
		name string
		then func(h *hostile, m network.Frame)
	}{
		{"silent", func(h *hostile, m network.Frame) {}},
		{"says accepted", settle(network.Frame{Outcome: network.Accepted})},
		{"says refused", settle(network.Frame{Outcome: network.Refused})},
		{"says gone", settle(network.Frame{Outcome: network.Gone})},
		{"asks again", func(h *hostile, m network.Frame) {
			h.say(network.Frame{Kind: network.Send, Number: 1, Send: m.Send})
			h.await(func(f network.Frame) bool { return f.Kind == network.Match })
			h.end()
		}},
		{"goes", func(h *hostile, m network.Frame) { h.end() }},
	} {
		for _, where := range []string{"home", "member"} {
			t.Run(test.name+"/"+where, func(t *testing.T) {
				t.Parallel()
				ctx := within(t, 30*time.Second)
				peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
				const name = channel.Name("lies")
				open[string](t, peers[0], name)
				open[string](t, peers[1], name)
				home, member := peers[0], peers[1]
				if agree(ctx, t, name, peers...) != home.node.ID().String() {
					home, member = member, home
				}
				receiver, sender := member, home
				if where == "home" {
					receiver, sender = home, member
				}
				from := open[string](t, sender, name)
				to := open[string](t, receiver, name)
				h := attack(ctx, t, startNode(t), home, true)
				h.join(name)
				const each = 2
				received := make(chan string, each)
				for range each {
					go func() {
						v, _ := to.Receive(ctx)
						received <- v
					}()
				}
				for info := receiver.Channels()[0]; info.Receives < each; info = receiver.Channels()[0] {
					runtime.Gosched()
				}
				h.say(network.Frame{Kind: network.Send, Number: 1, Send: 7})
				m := h.await(func(f network.Frame) bool { return f.Kind == network.Match })
				test.then(h, m)
				select {
				case <-h.ended:
				default:
					h.ping()
				}
				receiver.Remind() // as every minute
				// Too large to go along with the request: the home has to match it.
				value := string(make([]byte, 200_000))
				for range each {
					if err := from.Send(ctx, value); err != nil {
						t.Fatal(err)
					}
				}
				for range each {
					if v := <-received; v != value {
						t.Errorf("received %d bytes", len(v))
					}
				}
			})
		}
	}
}

// A peer that asks and never reads is given up; the others do not notice.
func TestNeverReads(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	open[string](t, peers[0], "reads")
	agree(ctx, t, "reads", peers[0])
	h := attack(ctx, t, startNode(t), peers[0], false)
	silent, err := h.node.Open(ctx, peers[0].node.ID(), network.Protocol) // does not even greet
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Reset()
	var questions []byte
	for range 1000 {
		questions = codec.AppendFrame(questions, network.Frame{Kind: network.Hello, Number: 9, Key: [32]byte{9}}.Bytes())
	}
	flood := make(chan int, 1)
	go func() {
		n := 0
		for h.write(questions) == nil && n < 10_000 {
			n++
		}
		flood <- n
	}()
	honest(ctx, t, "reads", peers[0], peers[1])
	if n := <-flood; n == 10_000 {
		t.Error("the session goes on")
	}
	h.end()
	honest(ctx, t, "reads", peers[1], peers[0])
}

// A peer that opens session after session, and begins a frame on each that it
// never ends, has a few of them.
func TestManySessions(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 2, "/ip4/127.0.0.1/tcp/0")
	const name = channel.Name("sessions")
	open[string](t, peers[0], name)
	agree(ctx, t, name, peers[0])
	node := startNode(t)
	half := append(binary.AppendUvarint(nil, network.MaxFrameBytes), make([]byte, 100_000)...)
	for range 10 * network.MaxSessions {
		attack(ctx, t, node, peers[0], false).write(half)
		// Those that are over may take a moment to end.
		if n := peers[0].Sessions(node.ID()); n > 4*network.MaxSessions {
			t.Fatalf("it has %d sessions, want %d", n, network.MaxSessions)
		}
	}
	for peers[0].Sessions(node.ID()) > network.MaxSessions {
		if ctx.Err() != nil {
			t.Fatal("sessions that are over do not end")
		}
		runtime.Gosched()
	}
	honest(ctx, t, name, peers[0], peers[1])
	// The latest is one of them: a peer that comes back is heard.
	h := attack(ctx, t, node, peers[0], true)
	h.ping()
	node.Close()
	honest(ctx, t, name, peers[1], peers[0])
}

// A peer with as many receives as may wait is not taken for a hostile one.
func TestAllPending(t *testing.T) {
	ctx := within(t, 60*time.Second)
	peers := startPeers(t, 3, "/ip4/127.0.0.1/tcp/0")
	const name = channel.Name("pending")
	open[string](t, peers[0], name)
	agree(ctx, t, name, peers[0])
	from, to := open[int](t, peers[1], name), open[int](t, peers[2], name)
	agree(ctx, t, name, peers...)
	stop, finish := context.WithCancel(ctx)
	var wg sync.WaitGroup
	received := make(chan int)
	for range network.MaxPending {
		wg.Go(func() {
			for {
				v, err := to.Receive(stop)
				if err != nil {
					return
				}
				received <- v
			}
		})
	}
	for peers[2].Channels()[0].Receives < network.MaxPending {
		runtime.Gosched()
	}
	if _, err := to.Receive(ctx); err == nil {
		t.Error("one more may wait")
	}
	for i := range 500 {
		go from.Send(ctx, i)
	}
	seen := map[int]bool{}
	for range 500 {
		select {
		case v := <-received:
			if seen[v] {
				t.Errorf("%d was received twice", v)
			}
			seen[v] = true
		case <-ctx.Done():
			t.Fatalf("only %d were received", len(seen))
		}
	}
	finish()
	wg.Wait()
}

// Peers that open a name with different types.
func TestTypesDiffer(t *testing.T) {
	ctx := within(t, 30*time.Second)
	peers := startPeers(t, 3, "/ip4/127.0.0.1/tcp/0")
	for _, way := range []struct{ from, to int }{{0, 1}, {1, 0}, {1, 2}} {
		texts, numbers := open[string](t, peers[way.from], "types"), open[int](t, peers[way.from], "types")
		to := open[int](t, peers[way.to], "types")
		sent := make(chan error, 2)
		go func() {
			sent <- texts.Send(ctx, "text")
			sent <- numbers.Send(ctx, 5)
		}()
		_, err := to.Receive(ctx)
		if wrong := new(channel.TypeError); !errors.As(err, &wrong) || wrong.Got != "string" || wrong.Want != "int" {
			t.Fatalf("%v: received %v", way, err)
		}
		if v, err := to.Receive(ctx); v != 5 || err != nil {
			t.Fatalf("%v: then received %d, %v", way, v, err)
		}
		for range 2 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	}
}
