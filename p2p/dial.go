package p2p

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// slowDial is how long a dial may take before the peer's addresses are doubted.
// One that gets through takes two round trips or three; one to an address where
// nobody is takes seconds.
const slowDial = 300 * time.Millisecond

// dial connects to a peer, directly or over a relay. Of a peer that has just
// come, or has changed its network, addresses are known at first at which nobody
// gets through: the dial of these goes on for seconds, and libp2p takes up no
// others meanwhile by itself. So when it is slow the peer is looked for, and
// what is found is dialed too.
func (n *Node) dial(ctx context.Context, id ID) error {
	ctx, cancel := context.WithCancel(network.WithAllowLimitedConn(ctx, "dial"))
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	if n.host.Network().Connectedness(id) != network.NotConnected {
		return n.host.Connect(ctx, peer.AddrInfo{ID: id})
	}
	results := make(chan error, 2)
	if !n.begin() {
		return ErrClosed
	}
	go func() {
		defer n.work.Done()
		results <- n.host.Connect(ctx, peer.AddrInfo{ID: id})
	}()
	select {
	case err := <-results:
		return err
	case <-time.After(slowDial):
	}
	if !n.begin() {
		return ErrClosed
	}
	go func() {
		defer n.work.Done()
		n.seek(ctx, id)
		results <- n.host.Connect(ctx, peer.AddrInfo{ID: id})
	}()
	err := <-results
	if err != nil && ctx.Err() == nil {
		err = <-results
	}
	return err
}
