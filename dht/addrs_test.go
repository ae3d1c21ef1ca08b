package dht_test

import (
	"errors"
	"net"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-msgio/pbio"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A member of the table that says of a peer that it is at a service of this machine
// has nobody connect to that.
func TestLocalAddresses(t *testing.T) {
	ctx := within(t)
	service, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	visited := make(chan struct{}, 100)
	go func() {
		for {
			c, err := service.Accept()
			if err != nil {
				close(visited)
				return
			}
			c.Close()
			visited <- struct{}{}
		}
	}()
	addr, err := ma.NewMultiaddr("/ip4/127.0.0.1/tcp/" + portOf(service))
	if err != nil {
		t.Fatal(err)
	}
	victim := startAt(t, "/ip4/0.0.0.0/tcp/0", nil)
	if here, err := victim.Node.Host().Network().InterfaceListenAddresses(); err != nil || len(here) < 2 {
		t.Skipf("this machine has no network: %v, %v", here, err)
	}
	hostile := start(t, nil)
	target := start(t, nil).ID() // somebody who is not there
	asked := make(chan struct{}, 100)
	hostile.Node.Host().SetStreamHandler("/dstackless/kad/1.0.0", func(s p2p.Stream) {
		defer s.Close()
		r, w := pbio.NewDelimitedReader(s, 1<<20), pbio.NewDelimitedWriter(s)
		for {
			var q pb.Message
			if r.ReadMsg(&q) != nil {
				return
			}
			a := pb.NewMessage(q.Type, q.Key, 0)
			a.CloserPeers = pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: target, Addrs: []ma.Multiaddr{addr}}})
			if w.WriteMsg(a) != nil {
				return
			}
			if p2p.ID(q.Key) == target {
				asked <- struct{}{}
			}
		}
	})
	join(t, victim, hostile)
	if err := victim.FindPeer(ctx, target); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	if s, err := victim.Open(ctx, target, "/x"); !errors.Is(err, p2p.ErrUnknownPeer) {
		if err == nil {
			s.Reset()
		}
		t.Errorf("open: %v", err)
	}
	service.Close()
	n := 0
	for range visited {
		n++
	}
	if n > 0 || len(asked) == 0 {
		t.Errorf("the service was visited %d times; the hostile member was asked %d times", n, len(asked))
	}
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
