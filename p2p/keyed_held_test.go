package p2p_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"

	"github.com/dstackless/dstackless/p2p"
)

// silent dials a node as a peer that says nothing by itself.
func silent(t *testing.T, node *p2p.Node) transport.CapableConn {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := quicreuse.NewConnManager([32]byte{}, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sockets.Close() })
	tr, err := libp2pquic.NewTransport(key, sockets, nil, nil, &network.NullResourceManager{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tr.Dial(within(t), node.Host().Addrs()[0], node.ID())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Strangers that are asked for the network's key, and say nothing or only begin
// to, are sent away after ten seconds. Members come in meanwhile.
func TestProofHeld(t *testing.T) {
	t.Parallel()
	key := p2p.NewNetworkKey()
	o := p2p.Options{Listen: []string{listens["quic"]}, NetworkKey: &key}
	victim, member := startWith(t, o), startWith(t, o)
	start := time.Now()
	var held []transport.CapableConn
	for i := range 20 {
		c := silent(t, victim)
		held = append(held, c)
		if i%2 == 0 {
			continue
		}
		s, err := c.OpenStream(within(t))
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("\x09/dsnet/1\n"))
	}
	connect(t, member, victim)
	for _, c := range held {
		for ctx := within(t); !c.IsClosed(); {
			if ctx.Err() != nil {
				t.Fatal("a stranger is not sent away")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	if took := time.Since(start); took < 8*time.Second {
		t.Errorf("sent away after %v: they were not waited for", took)
	}
	if n := len(victim.Peers()); n != 1 {
		t.Errorf("%d peers are connected, want the member alone", n)
	}
}
