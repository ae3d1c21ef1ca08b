package content_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
)

const (
	quic = "/ip4/127.0.0.1/udp/0/quic-v1"
	tcp  = "/ip4/127.0.0.1/tcp/0"
)

// relayed connects two peers through a relay that cuts after so many bytes. If
// they have no transport in common, there is no other way from one to the other.
func relayed(t *testing.T, a, b *member, limit int64) {
	t.Helper()
	relay, err := p2p.Start(&p2p.Options{
		Listen: []string{quic, tcp}, Relay: &p2p.RelayLimits{Data: limit},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	for _, addr := range relay.Addrs() {
		a.Connect(within(t), addr) // one of the two is of its transport
		b.Connect(within(t), addr)
	}
	info := peer.AddrInfo{ID: relay.ID(), Addrs: relay.Host().Addrs()}
	if _, err := client.Reserve(within(t), b.Host(), info); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Connect(within(t), "/p2p/"+relay.ID().String()+"/p2p-circuit/p2p/"+b.ID().String()); err != nil {
		t.Fatal(err)
	}
}

func TestGetThroughRelay(t *testing.T) {
	for name, data := range map[string][]byte{
		"one block":   []byte("hello world"),
		"same blocks": make([]byte, 1<<20),
		"3 MB":        random(3_000_000, 5),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := startOn(t, "", tcp), startOn(t, "", quic)
			relayed(t, a, b, 64<<10)
			c := add(t, b, data)
			began := time.Now()
			get(t, a, c, data, b.ID())
			t.Logf("%d bytes in %v", len(data), time.Since(began))
			if has, err := a.Has(within(t), c); err != nil || !has {
				t.Errorf("not kept: %v", err)
			}
			for _, p := range a.Peers() {
				if p.ID == b.ID() && !p.Relayed {
					t.Error("it was not relayed")
				}
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		a, b := start(t, ""), start(t, "")
		relayed(t, a, b, 0)
		c := add(t, b, random(1<<20, 6))
		if _, err := a.Get(within(t), c, 1<<20-1, b.ID()); !errors.Is(err, content.ErrTooLarge) {
			t.Errorf("%v, want ErrTooLarge", err)
		}
	})
}

// A peer that answers with other bytes is not believed.
func TestPullFromLiar(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	relayed(t, a, b, 0)
	c := add(t, b, []byte("the truth"))
	asked := make(chan struct{}, 16)
	b.Handle(content.Protocol, func(s p2p.Stream) {
		defer s.Close()
		asked <- struct{}{}
		s.Write([]byte("\x0athe truce"))
	})
	ended := make(chan error, 1)
	ctx := within(t)
	go func() {
		_, err := a.Get(ctx, c, 100, b.ID())
		ended <- err
	}()
	<-asked
	// Over a direct connection bitswap gets it.
	connect(t, a, b)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What is read of the protocol is written again as it was.
func FuzzWire(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzWire")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := content.ReadWant(bufio.NewReader(bytes.NewReader(b))); err == nil {
			again, err := content.ReadWant(bufio.NewReader(bytes.NewReader(content.AppendWant(nil, c))))
			if err != nil || again != c {
				t.Fatalf("%s, read again: %s, %v", c, again, err)
			}
		}
		if data, err := content.ReadBlock(bufio.NewReader(bytes.NewReader(b))); err == nil && len(data) >= len(b) {
			t.Fatalf("%d bytes hold a block of %d", len(b), len(data))
		}
	})
}
