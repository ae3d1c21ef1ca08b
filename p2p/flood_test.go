package p2p_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multistream"

	"github.com/dstackless/dstackless/p2p"
)

// hostile is a libp2p host that has no limits for itself, connected to a node.
func hostile(t *testing.T, addr string, victim *p2p.Node) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings(addr), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if err := h.Connect(within(t), peer.AddrInfo{ID: victim.ID(), Addrs: victim.Host().Addrs()}); err != nil {
		t.Fatal(err)
	}
	return h
}

// A peer opens as many streams as it can, and leaves them there. It gets so many
// and no more, and others do not notice.
func TestFloodOfStreams(t *testing.T) {
	const tries = 5000
	for transport, addr := range listens {
		for what, begin := range map[string]func(s network.Stream) error{
			"that say nothing": func(s network.Stream) error {
				_, err := s.Write([]byte{19}) // the length of a word, and no word
				return err
			},
			"of one protocol": func(s network.Stream) error {
				return multistream.SelectProtoOrFail(echo, s)
			},
		} {
			t.Run(transport+"/"+what, func(t *testing.T) {
				t.Parallel()
				victim, honest := start(t, addr), start(t, addr)
				victim.Handle(echo, serveEcho)
				h := hostile(t, addr, victim)
				// A connection that came before, and one that comes after.
				connect(t, honest, victim)
				c := h.Network().ConnsToPeer(victim.ID())[0]
				begun := 0
				for range tries {
					ctx, cancel := context.WithTimeout(within(t), 200*time.Millisecond)
					s, err := c.NewStream(ctx)
					cancel()
					if err != nil {
						break // QUIC's own limit
					}
					defer s.Reset()
					s.SetDeadline(time.Now().Add(time.Second))
					if begin(s) == nil {
						begun++
					}
				}
				open, conns := 0, victim.Host().Network().ConnsToPeer(h.ID())
				for _, c := range conns {
					open += len(c.GetStreams())
				}
				t.Logf("%d streams begun, %d open", begun, open)
				if open > p2p.StreamsOfOne {
					t.Errorf("%d streams are open, want %d at most", open, p2p.StreamsOfOne)
				}
				// Over TCP it may be cut off, when its streams hold more memory
				// than is its share.
				if begun < 100 || open < 100 && len(conns) > 0 {
					t.Errorf("it is no flood: %d streams begun, %d open", begun, open)
				}
				late := start(t, addr)
				connect(t, late, victim)
				for _, n := range []*p2p.Node{honest, late} {
					s, err := n.Open(within(t), victim.ID(), echo)
					if err != nil {
						t.Fatal(err)
					}
					s.SetDeadline(time.Now().Add(10 * time.Second))
					if _, err := s.Write([]byte("hello")); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(s, make([]byte, 5)); err != nil {
						t.Error("an honest peer is not served:", err)
					}
					s.Reset()
				}
			})
		}
	}
}

// A peer fills resumable streams that nobody reads. Those of others go on.
func TestFloodOfResumables(t *testing.T) {
	victim, greedy, honest := start(t), start(t), start(t)
	end := make(chan struct{})
	defer close(end)
	victim.Handle("/test/deaf/1", func(s p2p.Stream) { <-end; s.Reset() })
	victim.Handle(echo, serveEcho)
	connect(t, greedy, victim)
	connect(t, honest, victim)
	const each = 200 << 10 // less than what one stream takes unread
	failed := 0
	for range p2p.MaxBuffered/each + 10 {
		s, err := greedy.OpenResumable(within(t), victim.ID(), "/test/deaf/1")
		if err != nil {
			failed++
			continue
		}
		defer s.Reset()
		s.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := s.Write(data(each, 1)); err != nil {
			failed++
		}
	}
	if n := victim.Buffered(greedy.ID()); n > p2p.BufferedOfOne || n < p2p.BufferedOfOne/2 {
		t.Errorf("%d bytes are kept, want %d at most and not much less", n, p2p.BufferedOfOne)
	}
	s, err := honest.OpenResumable(within(t), victim.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := exchange(s, s.CloseWrite, 1<<20, 1, 1); err != nil {
		t.Error("an honest peer is not served:", err)
	}
	t.Logf("%d of the streams failed at once", failed)
}
