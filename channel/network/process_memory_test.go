package network_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/peertest"
)

// A watched is a process of its own whose memory is looked at, and another with
// which it shares a channel.
type watched struct {
	t      *testing.T
	victim *peertest.Process
	from   *channel.Channel[string]
	to     *channel.Channel[string]
	before int64
	most   int64
}

func watch(ctx context.Context, t *testing.T, name channel.Name) *watched {
	t.Helper()
	w := &watched{t: t, victim: peertest.StartProcess(t, nil)}
	w.from = openIn(ctx, t, w.victim, name)
	for home := ""; home != w.victim.ID(); time.Sleep(10 * time.Millisecond) {
		infos, err := w.victim.Channels(ctx)
		if err != nil {
			t.Fatal(err)
		}
		home = infos[0].Home
	}
	other := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: w.victim.Addrs()[:1]})
	w.to = openIn(ctx, t, other, name)
	w.exchanged(ctx, w.from, w.to)
	for { // two homes may have met, of which one remains
		infos, err := w.victim.Channels(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if infos[0].Home == w.victim.ID() {
			break
		}
		if infos[0].Home == other.ID() {
			w.victim, other = other, w.victim
		}
	}
	w.before = w.resident()
	w.most = 0
	return w
}

func openIn(ctx context.Context, t *testing.T, p *peertest.Process, name channel.Name) *channel.Channel[string] {
	t.Helper()
	c, err := channel.Open[string](ctx, p, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *watched) resident() int64 {
	w.t.Helper()
	n, err := w.victim.Resident()
	if errors.Is(err, errors.ErrUnsupported) {
		w.t.Skip(err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.most = max(w.most, n)
	return n
}

// exchanged has a value go from one honest peer to another.
func (w *watched) exchanged(ctx context.Context, from, to *channel.Channel[string]) {
	w.t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- from.Send(ctx, "honest") }()
	if v, err := to.Receive(ctx); v != "honest" || err != nil {
		w.t.Errorf("received %q, %v", v, err)
	}
	if err := <-sent; err != nil {
		w.t.Error(err)
	}
}

// raceDetector says that it is on.
var raceDetector bool

// grewLess fails the test if the victim had limit bytes more than before.
func (w *watched) grewLess(limit int64) {
	w.t.Helper()
	if raceDetector { // it takes memory of its own
		limit *= 4
	}
	w.resident()
	w.t.Logf("%d MiB before, %d MiB at most", w.before>>20, w.most>>20)
	if w.most-w.before > limit {
		w.t.Errorf("the peer has taken %d MiB more", (w.most-w.before)>>20)
	}
}

// term returns that of the home of a channel, as the victim says.
func (h *hostile) generation(name channel.Name) network.Frame {
	h.t.Helper()
	h.say(h.hello(name, 1, 0, ""))
	return h.await(func(f network.Frame) bool { return f.Kind == network.Hello })
}

// Of two peers, one has 400 MiB passed on to the other, which says that it is
// alive, and reads nothing.
func TestUnreadTakesNoMemory(t *testing.T) {
	ctx := within(t, 90*time.Second)
	const name = channel.Name("unread")
	w := watch(ctx, t, name)
	addr := w.victim.Addrs()[0]
	from := attackAt(ctx, t, startNode(t), addr, true)
	home := from.generation(name)
	deaf := attackAt(ctx, t, startNode(t), addr, false)
	deaf.say(deaf.hello(name, 1, home.ClaimTerm, home.Home))
	from.say(from.hello(name, 1, home.ClaimTerm, home.Home))
	for members := 0; members < 3; time.Sleep(10 * time.Millisecond) { // and the other process
		infos, err := w.victim.Channels(ctx)
		if err != nil {
			t.Fatal(err)
		}
		members = infos[0].Members
	}
	value := make([]byte, 1<<20)
	for i := uint64(1); i <= 400; i++ {
		from.say(network.Frame{Kind: network.Deliver, Number: 1, Send: i, Receive: 1, Peer: deaf.node.ID(), Relay: true, Value: value})
		if i%50 == 0 {
			from.ping()
			deaf.say(network.Frame{Kind: network.Ping})
			w.resident()
		}
	}
	w.exchanged(ctx, w.from, w.to)
	w.grewLess(128 << 20)
}

// A home that lies passes on half a million values of peers that do not exist.
func TestNobodysTakeNoMemory(t *testing.T) {
	ctx := within(t, 90*time.Second)
	const name = channel.Name("nobodys")
	w := watch(ctx, t, name)
	node := startNode(t)
	const each = 100_000
	for i := range uint64(5) {
		h := attackAt(ctx, t, node, w.victim.Addrs()[0], true)
		h.say(h.hello(name, 1, h.generation(name).ClaimTerm+1, h.node.ID()))
		h.bringNobodys(1+i*each, each)
		w.resident()
		h.stream.Reset()
	}
	node.Close()
	w.exchanged(ctx, w.from, w.to)
	w.grewLess(32 << 20)
}
