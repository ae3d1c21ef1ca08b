package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// Of a peer an address is known at which nobody answers, for QUIC a matter of
// seconds. It is reached at once where it is, as soon as that is known.
func TestDialWhatBecomesKnown(t *testing.T) {
	for _, c := range []struct {
		name  string
		learn func(n *p2p.Node, learn func())
	}{
		{"because somebody looks for it", func(n *p2p.Node, learn func()) {
			n.SetFinder(p2p.Finder{Peer: func(context.Context, p2p.ID) error { learn(); return nil }})
		}},
		{"by chance", func(n *p2p.Node, learn func()) {
			timer := time.AfterFunc(100*time.Millisecond, learn)
			t.Cleanup(func() { timer.Stop() })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			start := func() *p2p.Node {
				n, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { n.Close() })
				return n
			}
			a, b := start(), start()
			b.Handle("/test", func(s p2p.Stream) { s.Close() })
			port := silent.LocalAddr().(*net.UDPAddr).Port
			a.AddAddrs(b.ID(), []string{fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)})
			c.learn(a, func() { a.AddAddrs(b.ID(), b.AddrsOf(b.ID())) })
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			s, err := a.Open(ctx, b.ID(), "/test")
			if err != nil {
				t.Fatal(err)
			}
			s.Reset()
		})
	}
}

// A stream that shall last is opened to a peer whose connection is lost in that
// moment, though it takes the peer a while to be back.
func TestOpenResumableToOneThatComesBack(t *testing.T) {
	dir := t.TempDir()
	start := func(listen string) *p2p.Node {
		n, err := p2p.Start(&p2p.Options{DataDir: dir, Listen: []string{listen}})
		if err != nil {
			t.Fatal(err)
		}
		n.Handle("/test", func(s p2p.Stream) { s.Close() })
		t.Cleanup(func() { n.Close() })
		return n
	}
	a, err := p2p.Start(&p2p.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b := start("/ip4/127.0.0.1/tcp/0")
	addr := b.Addrs()[0]
	if _, err := a.Connect(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	defer a.Watch(func(id p2p.ID, connected bool) {
		if id == b.ID() && !connected {
			close(gone)
		}
	})()
	listen := b.AddrsOf(b.ID())[0]
	b.Close()
	<-gone
	opened := make(chan error, 1)
	go func() {
		s, err := a.OpenResumable(t.Context(), b.ID(), "/test")
		if err == nil {
			s.Reset()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("it is not tried again: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	start(listen)
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// Where nobody listens any more, nobody is waited for as long as where nobody
// answers.
func TestOpenResumableToOneThatHasEnded(t *testing.T) {
	a, b := start(t, "/ip4/127.0.0.1/tcp/0"), start(t, "/ip4/127.0.0.1/tcp/0")
	connect(t, a, b)
	b.Close()
	begun := time.Now()
	if _, err := a.OpenResumable(within(t), b.ID(), "/test"); !errors.Is(err, p2p.ErrUnreachable) {
		t.Error(err)
	}
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("that took %s", d)
	}
}
