package network_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// A hostile is a peer that speaks the protocol by hand.
type hostile struct {
	t      testing.TB
	ctx    context.Context
	node   *p2p.Node
	stream p2p.Stream
	victim *peer  // nil: in another process
	target p2p.ID // the victim's ID

	mu     sync.Mutex
	heard  []network.Frame
	news   chan struct{} // capacity 1
	ended  chan struct{} // the victim has closed or reset the stream
	listen bool
}

func startNode(t testing.TB) *p2p.Node {
	t.Helper()
	node, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	return node
}

// attack opens a session with victim. It reads what the victim says if listens.
func attack(ctx context.Context, t testing.TB, node *p2p.Node, victim *peer, listens bool) *hostile {
	t.Helper()
	h := attackAt(ctx, t, node, victim.node.Addrs()[0], listens)
	h.victim = victim
	return h
}

// attackAt opens a session with the peer at addr, a full multiaddr.
func attackAt(ctx context.Context, t testing.TB, node *p2p.Node, addr string, listens bool) *hostile {
	t.Helper()
	target, err := node.Connect(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := node.Open(ctx, target, network.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	var life [8]byte
	if _, err := stream.Write([]byte("my life.")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stream, life[:]); err != nil {
		t.Fatal(err)
	}
	h := &hostile{
		t: t, ctx: ctx, node: node, stream: stream, target: target,
		news: make(chan struct{}, 1), ended: make(chan struct{}), listen: listens,
	}
	if listens {
		go h.read()
	}
	return h
}

func (h *hostile) read() {
	defer close(h.ended)
	r := bufio.NewReader(h.stream)
	for {
		b, err := codec.ReadFrame(r, network.MaxFrameBytes)
		if err != nil {
			return
		}
		f, err := network.ParseFrame(b)
		if err != nil {
			h.t.Errorf("the victim says %x: %v", b, err)
			return
		}
		h.mu.Lock()
		h.heard = append(h.heard, f)
		h.mu.Unlock()
		select {
		case h.news <- struct{}{}:
		default:
		}
	}
}

// say writes frames. That the victim has reset the stream is seen elsewhere.
func (h *hostile) say(frames ...network.Frame) error {
	var b []byte
	for _, f := range frames {
		b = codec.AppendFrame(b, f.Bytes())
	}
	return h.write(b)
}

func (h *hostile) write(b []byte) error {
	_, err := h.stream.Write(b)
	return err
}

// hello is one that proves knowledge of the name.
func (h *hostile) hello(name channel.Name, number, generation uint64, home p2p.ID) network.Frame {
	return network.Frame{
		Kind: network.Hello, Number: number, Key: network.KeyOf(name),
		Proof:     network.Prove(name, h.node.ID(), h.target),
		ClaimTerm: generation, Home: home,
	}
}

// join says hello and takes the victim's word for who is the home.
func (h *hostile) join(name channel.Name) {
	h.t.Helper()
	h.say(h.hello(name, 1, 0, ""))
	f := h.await(func(f network.Frame) bool { return f.Kind == network.Hello })
	h.say(h.hello(name, 1, f.ClaimTerm, f.Home))
	h.ping()
}

// await returns the first frame heard that is wanted, and forgets it.
func (h *hostile) await(wanted func(network.Frame) bool) network.Frame {
	h.t.Helper()
	for {
		h.mu.Lock()
		i := slices.IndexFunc(h.heard, wanted)
		if i >= 0 {
			f := h.heard[i]
			h.heard = slices.Delete(h.heard, i, i+1)
			h.mu.Unlock()
			return f
		}
		h.mu.Unlock()
		select {
		case <-h.news:
		case <-h.ended:
			h.t.Fatal("the session has ended")
		case <-h.ctx.Done():
			h.t.Fatal("the victim says nothing")
		}
	}
}

// ping waits until the victim has taken all that was said.
func (h *hostile) ping() {
	h.t.Helper()
	var key [32]byte
	rand.Read(key[:])
	if err := h.say(network.Frame{Kind: network.Hello, Number: 1 << 50, Key: key}); err != nil {
		h.t.Fatal(err)
	}
	h.await(func(f network.Frame) bool { return f.Kind == network.Unknown && f.Key == key })
}

// live says, until the session ends, that it is alive: a silent home is given up.
func (h *hostile) live() {
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				h.say(network.Frame{Kind: network.Ping})
			case <-h.ended:
				return
			}
		}
	}()
}

// rest returns what was heard and not awaited.
func (h *hostile) rest() []network.Frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.heard)
}

// isReset waits until the victim ends the session.
func (h *hostile) isReset() {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-h.ctx.Done():
		h.t.Fatal("the session goes on")
	}
}

// isOver reports whether the victim has ended the session.
func (h *hostile) isOver() bool {
	select {
	case <-h.ended:
		return true
	default:
		return false
	}
}

// end ends the session and waits until the victim has seen it.
func (h *hostile) end() {
	h.t.Helper()
	h.stream.Reset()
	if h.listen {
		<-h.ended
	}
	for h.victim.Sessions(h.node.ID()) > 0 {
		if h.ctx.Err() != nil {
			h.t.Fatal("the victim keeps the session")
		}
		runtime.Gosched()
	}
}

// honest has values go both ways, each once.
func honest(ctx context.Context, t *testing.T, name channel.Name, a, b *peer) {
	t.Helper()
	for i := range 4 {
		exchange(ctx, t, name, a, b, fmt.Sprint("there ", i))
		exchange(ctx, t, name, b, a, fmt.Sprint("back ", i))
	}
}
