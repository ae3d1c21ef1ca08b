package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	// A kept peer is dialed again after firstRedial, then twice that, up to lastRedial.
	firstRedial, lastRedial = time.Second, time.Minute
)

// KeepConnected connects to the peer at addr, a full multiaddr, and connects again each
// time the connection is lost, until the node closes. It returns at once. A dial
// that fails is repeated after a second, then two, and so on up to a minute.
//
// The error is about the address alone.
func (n *Node) KeepConnected(addr string) error {
	info, err := parseFull(addr)
	if err != nil {
		return err
	}
	if info.ID == n.ID() {
		return fmt.Errorf("p2p: keep %s connected: %w", addr, ErrSelf)
	}
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	if n.kept[info.ID] != nil {
		return nil
	}
	n.Protect(info.ID)
	k := &maintainer{node: n, peer: info.ID, now: make(chan struct{}, 1)}
	n.kept[info.ID] = k
	n.work.Go(k.run)
	return nil
}

// redial dials all kept peers now.
func (n *Node) redial() {
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	for _, k := range n.kept {
		k.redialNow()
	}
}

// keptPeers returns the peers that the node keeps connected.
func (n *Node) keptPeers() []ID {
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	var list []ID
	for id := range n.kept {
		list = append(list, id)
	}
	return list
}

// A maintainer keeps one peer connected.
type maintainer struct {
	node *Node
	peer ID
	now  chan struct{} // capacity 1
	up   atomic.Bool   // the peer has answered on its connection
}

func (k *maintainer) redialNow() {
	select {
	case k.now <- struct{}{}:
	default:
	}
}

func (k *maintainer) run() {
	defer k.node.Watch(func(id ID, connected bool) {
		// A connection that ends before the peer has answered is left to dial,
		// which waits and logs why.
		if id == k.peer && !connected && k.up.Swap(false) {
			k.redialNow()
		}
	})()
	wait := firstRedial
	failing := false
	for {
		var again <-chan time.Time
		if err := k.dial(); err == nil {
			if failing {
				k.node.log.Info("reconnected to a kept peer", "peer", k.peer)
			}
			wait, failing = firstRedial, false
		} else {
			if !failing && k.node.ctx.Err() == nil {
				k.node.log.Warn("cannot connect to a kept peer; will retry", "peer", k.peer, "error", err)
			}
			failing = true
			again = time.After(wait + rand.N(wait/4))
			wait = min(2*wait, lastRedial)
		}
		select {
		case <-again:
		case <-k.now:
			wait = firstRedial
		case <-k.node.ctx.Done():
			return
		}
	}
}

// dial connects to the peer, unless it is connected and has answered.
func (k *maintainer) dial() error {
	if k.up.Load() && k.connected() {
		return nil
	}
	k.node.forgetFailures(k.peer)
	ctx, cancel := context.WithTimeout(k.node.ctx, stepTimeout)
	defer cancel()
	if err := k.node.reachPeer(network.WithAllowLimitedConn(ctx, "keep"), peer.AddrInfo{ID: k.peer}); err != nil {
		return err
	}
	k.up.Store(true)
	if !k.connected() { // it was lost before that
		return ErrUnreachable
	}
	return nil
}

func (k *maintainer) connected() bool {
	return bestConn(k.node.host.Network().ConnsToPeer(k.peer)) != nil
}
