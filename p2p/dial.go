package p2p

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// slowDialTimeout is how long a dial may take before the node searches for addresses
// of the peer. A dial that succeeds takes two or three round trips; a dial to a dead
// address takes seconds.
const slowDialTimeout = 300 * time.Millisecond

// dial connects to a peer, directly or over a relay. The known
// addresses of a peer that has just started, or has changed its network or its relay,
// may be out of date. A dial to them takes seconds, and libp2p dials no addresses
// that become known meanwhile. So each new address is dialed at once, and after
// slowDialTimeout the node searches for the peer.
func (n *Node) dial(ctx context.Context, id ID) error {
	ctx, cancel := context.WithCancel(network.WithAllowLimitedConn(ctx, "dial"))
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	if n.host.Network().Connectedness(id) != network.NotConnected {
		return n.host.Connect(ctx, peer.AddrInfo{ID: id})
	}
	tried := map[string]bool{}
	for _, a := range n.host.Peerstore().Addrs(id) {
		tried[a.String()] = true
	}
	addrs := n.host.Peerstore().AddrStream(ctx, id)
	results := make(chan error)
	running := 0
	run := func(f func() error) {
		if !n.work.Enter() {
			cancel()
			return
		}
		running++
		go func() {
			defer n.work.Leave()
			err := f()
			select {
			case results <- err:
			case <-ctx.Done():
			}
		}()
	}
	connect := func() error { return n.host.Connect(ctx, peer.AddrInfo{ID: id}) }
	run(connect)
	slow := time.NewTimer(slowDialTimeout)
	defer slow.Stop()
	for {
		select {
		case err := <-results:
			running--
			if n.host.Network().Connectedness(id) != network.NotConnected {
				return nil
			}
			if running == 0 {
				return err
			}
		case a, ok := <-addrs:
			if !ok {
				addrs = nil
			} else if !tried[a.String()] && len(tried) < 2*maxAddrs {
				tried[a.String()] = true
				run(connect)
			}
		case <-slow.C:
			run(func() error {
				n.searchPeer(ctx, id)
				return connect()
			})
		case <-ctx.Done():
			return n.usable(ctx)
		}
	}
}
