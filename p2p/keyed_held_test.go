package p2p_test

import (
	"crypto/rand"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

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
// to, are sent away after three seconds. Members come in meanwhile.
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
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("sent away after %v: they were not waited for", took)
	}
	if n := len(victim.Peers()); n != 1 {
		t.Errorf("%d peers are connected, want the member alone", n)
	}
}

// silentFrom dials a node by TCP from a loopback address, as a peer that says
// nothing by itself.
func silentFrom(t *testing.T, addr string, node *p2p.Node) transport.CapableConn {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	muxers := []upgrader.StreamMuxer{{ID: protocol.ID(yamux.ID), Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		t.Fatal(err)
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	tr, err := tcp.NewTCPTransport(up, nil, nil, tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) {
		return from, nil
	}))
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

// More strangers than may be asked for the network's key say nothing, from two
// addresses, and new ones come all the time. A member comes in at once, also one
// at an address of theirs.
func TestProofsHeldByMany(t *testing.T) {
	key := p2p.NewNetworkKey()
	o := p2p.Options{Listen: []string{listens["tcp"]}, NetworkKey: &key}
	victim := startWith(t, o)
	flood := func(n int) {
		for i := range n {
			silentFrom(t, fmt.Sprintf("127.0.0.%d", 1+i%2), victim)
		}
	}
	flood(p2p.ProvingMax + 16)
	for range 4 {
		member := startWith(t, o)
		begun := time.Now()
		connect(t, member, victim)
		// Who dials hears of no refusal: it is in if it is heard.
		victim.Handle(echo, serveEcho)
		if got := say(t, member, victim.ID(), "hello", echo); got != "hello" {
			t.Errorf("%q", got)
		}
		t.Logf("a member is in after %v", time.Since(begun))
		flood(32)
	}
}
