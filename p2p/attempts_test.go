package p2p_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// hundredStreams opens resumable streams and has their peer go without a word.
func hundredStreams(t *testing.T, from, to, goes *p2p.Node) {
	t.Helper()
	to.Handle(echo, serveEcho)
	connect(t, from, to)
	for range 100 {
		s, err := from.OpenResumable(within(t), to.ID(), echo)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Reset() })
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	// Without the farewell of its streams, which Close would have.
	goes.Host().Close()
}

// counted counts the searches of a node, which take a while and find nothing.
func counted(n *p2p.Node) (searches *atomic.Int32) {
	searches = new(atomic.Int32)
	n.SetFinder(p2p.Finder{Peer: func(ctx context.Context, _ p2p.ID) error {
		searches.Add(1)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}})
	return searches
}

// A stranger that has opened streams goes. Nobody looks for it.
func TestStrangerIsNotSought(t *testing.T) {
	t.Parallel()
	victim, stranger := start(t), start(t)
	searches := counted(victim)
	hundredStreams(t, stranger, victim, stranger)
	time.Sleep(5 * time.Second) // it has no other trace than that nothing happens
	if n := searches.Load(); n > 0 {
		t.Errorf("a stranger was sought %d times", n)
	}
}

// A peer to which there are streams goes. All of them look for it together, and
// not again and again.
func TestPeerIsSoughtOnce(t *testing.T) {
	t.Parallel()
	a, b := start(t), start(t)
	searches := counted(a)
	hundredStreams(t, a, b, b)
	for ctx := within(t); searches.Load() == 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the peer is not sought")
		}
	}
	time.Sleep(4 * time.Second)
	// At once, and after pauses of a second, two and four.
	if n := searches.Load(); n > 4 {
		t.Errorf("100 streams have sought their peer %d times", n)
	}
	t.Logf("%d searches", searches.Load())
}
