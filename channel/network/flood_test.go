package network_test

import (
	"bufio"
	"fmt"
	"testing"
	"time"

	kadpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// junk returns so many peers that there are not, at addresses where nobody
// answers.
func junk(t *testing.T, n int) (list []*kadpb.Message_Peer) {
	t.Helper()
	for i := range n {
		_, key, err := crypto.GenerateEd25519Key(nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := libp2p.IDFromPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		var addrs []ma.Multiaddr
		for _, form := range []string{"/ip4/127.0.%d.%d/udp/9/quic-v1", "/ip4/127.0.%d.%d/tcp/9"} {
			addrs = append(addrs, ma.StringCast(fmt.Sprintf(form, i/256, i%256)))
		}
		list = append(list, kadpb.RawPeerInfosToPBPeers([]libp2p.AddrInfo{{ID: id, Addrs: addrs}})...)
	}
	return list
}

// lieAboutProviders has a node answer as a member of the table that knows, of
// every key, junk in plenty and nothing else.
func lieAboutProviders(n *p2p.Node, junk []*kadpb.Message_Peer) {
	n.Handle("/dstackless/kad/1.0.0", func(s p2p.Stream) {
		defer s.Close()
		r := bufio.NewReader(s)
		for {
			b, err := codec.ReadFrame(r, 1<<22) // kad-dht has the same frames
			if err != nil {
				return
			}
			var m kadpb.Message
			if proto.Unmarshal(b, &m) != nil {
				return
			}
			switch m.GetType() {
			case kadpb.Message_ADD_PROVIDER:
				continue
			case kadpb.Message_GET_PROVIDERS:
				m.ProviderPeers = junk
			}
			out, err := proto.Marshal(&m)
			if err != nil || codec.WriteFrame(s, out) != nil {
				return
			}
		}
	})
}

// A member of the table says of each key that a thousand peers have announced
// it, who are not there. Honest ones find each other all the same.
func TestJunkProviders(t *testing.T) {
	ctx := within(t, 60*time.Second)
	liar := startNode(t)
	lieAboutProviders(liar, junk(t, 1000))
	peers := startPeers(t, 3, "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0")
	for _, p := range peers {
		if _, err := p.node.Connect(ctx, liar.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		for p.dht.Size() < 2 { // the liar is in it
			if ctx.Err() != nil {
				t.Fatal("the table does not fill")
			}
			time.Sleep(time.Millisecond)
		}
	}
	begun := time.Now()
	const name = channel.Name("junk")
	open[string](t, peers[1], name)
	honest(ctx, t, name, peers[1], peers[2])
	if took := time.Since(begun); took > 45*time.Second {
		t.Errorf("it took %v", took)
	}
	t.Logf("after %v", time.Since(begun))
}
