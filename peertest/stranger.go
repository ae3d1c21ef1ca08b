package peertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// A Stranger is a hostile peer: a libp2p host with a key of its own, no limits
// for itself, and a loopback address of its own from which it dials. Make it with
// [NewStranger].
type Stranger struct {
	host   host.Host
	addr   string // of loopback
	victim peer.AddrInfo
	done   int // actions of an attack

	mu     sync.Mutex
	closed bool
	held   []func() // each ends something that it holds
}

// maxHeld is how much a stranger holds: what is older it lets go.
const maxHeld = 1500

// NewStranger makes a stranger at a loopback address such as "127.0.0.2", which
// only Linux has by itself, and connects it by TCP to the peer at victim, a full
// multiaddr. The test's Cleanup closes it. That it cannot be made, or cannot
// connect within 30 seconds, is fatal to the test.
func NewStranger(t testing.TB, addr, victim string) *Stranger {
	t.Helper()
	s, err := newStranger(addr, victim)
	if err != nil {
		t.Fatalf("peertest: make a stranger at %s: %v", addr, err)
	}
	t.Cleanup(s.close)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		t.Fatalf("peertest: connect a stranger at %s: %v", addr, err)
	}
	return s
}

func newStranger(addr, victim string) (*Stranger, error) {
	info, err := peer.AddrInfoFromString(victim)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/tcp/0", addr)), // dials from there, too
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(), libp2p.DisableRelay(),
	)
	if err != nil {
		return nil, err
	}
	return &Stranger{host: h, addr: addr, victim: *info}, nil
}

// connect connects to the victim, unless that is so.
func (s *Stranger) connect(ctx context.Context) error { return s.host.Connect(ctx, s.victim) }

func (s *Stranger) close() {
	s.host.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, end := range s.held {
		end()
	}
	s.held = nil
}

// hold keeps something, which end ends.
func (s *Stranger) hold(end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		end()
		return
	}
	s.held = append(s.held, end)
	if len(s.held) > maxHeld {
		s.held[0]()
		s.held = append(s.held[:0], s.held[1:]...)
	}
}

// Host returns the stranger's libp2p host.
func (s *Stranger) Host() host.Host { return s.host }

// Open opens a stream to the victim that says data and no more, and leaves it
// there.
func (s *Stranger) Open(ctx context.Context, p protocol.ID, data []byte) (network.Stream, error) {
	stream, err := s.host.NewStream(ctx, s.victim.ID, p)
	if err != nil {
		return nil, err
	}
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(startTimeout)
	}
	stream.SetDeadline(end)
	if _, err := stream.Write(data); err != nil {
		stream.Reset()
		return nil, err
	}
	return stream, nil
}
