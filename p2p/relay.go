package p2p

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
)

// RelayLimits bound what a node does as a relay. The zero value has sane
// defaults, which are libp2p's but for those that are said to differ.
type RelayLimits struct {
	// Reservations is how many peers may be reachable through the relay at a
	// time, each for an hour that it can renew. Default: 128. A quarter of
	// them may come from one IP address, because many peers stand behind one
	// NAT (libp2p: 8). Strangers have three quarters, see [Node.Protect]; when these
	// are taken, the address that has most loses one, not the peer that comes next.
	Reservations int

	// Circuits is how many relayed connections each of them may have at a
	// time. Default: 16.
	Circuits int

	// Data is how many bytes a relayed connection carries in each direction
	// before it is cut. Default: 128 KiB.
	Data int64

	// Duration is how long a relayed connection lasts before it is cut.
	// Default: 2 minutes.
	Duration time.Duration
}

// resources returns libp2p's form of the limits.
func (l RelayLimits) resources() (relay.Resources, error) {
	r := relay.DefaultResources()
	for _, x := range []struct {
		name  string
		value int64
		set   func(int64)
	}{
		{"Reservations", int64(l.Reservations), func(v int64) { r.MaxReservations = int(v) }},
		{"Circuits", int64(l.Circuits), func(v int64) { r.MaxCircuits = int(v) }},
		{"Data", l.Data, func(v int64) { r.Limit.Data = v }},
		{"Duration", int64(l.Duration), func(v int64) { r.Limit.Duration = time.Duration(v) }},
	} {
		if x.value < 0 {
			return r, fmt.Errorf("p2p: relay: %s is %d: want more than 0, or 0 for the default", x.name, x.value)
		}
		if x.value > 0 {
			x.set(x.value)
		}
	}
	r.MaxReservationsPerIP = max(8, r.MaxReservations/4)
	r.MaxReservationsPerASN = max(32, r.MaxReservations/2)
	return r, nil
}

const (
	// relaysWantedCount is how many relays a peer that cannot be reached keeps a
	// reservation at: one may go.
	relaysWantedCount = 2
	// The least time between two searches of the whole network for relays is
	// firstSearchInterval, and, as long as there is one relay, doubled each time.
	firstSearchInterval, searchIntervalMax = time.Second, 30 * time.Second
)

// A Finder searches the network for a node. Its functions may be nil.
type Finder struct {
	// Peer puts the addresses of a peer in the node's address book.
	Peer func(context.Context, ID) error
	// Relays calls yield with peers that say that they serve as relays, until
	// yield returns false.
	Relays func(ctx context.Context, yield func(ID) bool)
}

// SetFinder sets the finder. The node uses it to search for a peer that a resumable
// stream has lost, and for relays.
func (n *Node) SetFinder(f Finder) { n.finder.Store(&f) }

// relays sends libp2p the peers that may serve as relays: first kept peers, then
// connected peers, then those that the finder finds.
func (n *Node) relays(ctx context.Context, want int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo)
	tell := func(id ID) bool {
		info := peer.AddrInfo{ID: id, Addrs: n.host.Peerstore().Addrs(id)}
		select {
		case out <- info:
			want--
			return want > 0
		case <-ctx.Done():
			return false
		}
	}
	if !n.work.Enter() {
		close(out)
		return out
	}
	go func() {
		defer n.work.Leave()
		defer close(out)
		told := map[ID]bool{n.ID(): true}
		for _, id := range append(n.keptPeers(), n.host.Network().Peers()...) {
			known, err := n.host.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop)
			if told[id] || err != nil || len(known) == 0 {
				continue
			}
			told[id] = true
			if !tell(id) {
				return
			}
		}
		if f := n.finder.Load(); f != nil && f.Relays != nil && n.searchDue() {
			f.Relays(ctx, func(id ID) bool { return told[id] || tell(id) })
		}
	}()
	return out
}

// searchDue reports whether the network may be searched for relays.
func (n *Node) searchDue() bool {
	n.reach.mu.Lock()
	defer n.reach.mu.Unlock()
	r := &n.reach
	if time.Since(r.searched) < r.pause {
		return false
	}
	r.searched = time.Now()
	if len(r.now.Relays) == 0 {
		r.pause = 0
	}
	r.pause = min(max(2*r.pause, firstSearchInterval), searchIntervalMax)
	return true
}

// relayOf returns the relay of a relayed address, or "".
func relayOf(addr ma.Multiaddr) ID {
	var last ID
	for _, c := range addr {
		switch c.Code() {
		case ma.P_P2P:
			last = ID(c.RawValue())
		case ma.P_CIRCUIT:
			return last
		}
	}
	return ""
}
