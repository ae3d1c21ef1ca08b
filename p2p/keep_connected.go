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
	// A peer that is kept is dialed again after this time, doubled each time.
	firstRedial, lastRedial = time.Second, time.Minute
)

// KeepConnected connects to the peer at addr, a full multiaddr, and connects again each
// time the connection is lost, until the node closes. It returns at once; what
// fails is tried again, after a second at first and a minute at last.
//
// The error is about the address alone.
func (n *Node) KeepConnected(addr string) error {
	info, err := parseFull(addr)
	if err != nil {
		return err
	}
	if info.ID == n.ID() {
		return fmt.Errorf("p2p: keep %s: %w", addr, ErrSelf)
	}
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	if n.kept[info.ID] != nil {
		return nil
	}
	n.Protect(info.ID)
	k := &keeper{node: n, peer: info.ID, now: make(chan struct{}, 1)}
	n.kept[info.ID] = k
	n.spawn(k.run)
	return nil
}

// redial has the peers that are kept be dialed now.
func (n *Node) redial() {
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	for _, k := range n.kept {
		k.hurry()
	}
}

// keeps returns the peers that are kept.
func (n *Node) keeps() []ID {
	n.keepMu.Lock()
	defer n.keepMu.Unlock()
	var list []ID
	for id := range n.kept {
		list = append(list, id)
	}
	return list
}

// A keeper keeps the connection to one peer.
type keeper struct {
	node *Node
	peer ID
	now  chan struct{} // capacity 1
	up   atomic.Bool   // the peer has answered on its connection
}

func (k *keeper) hurry() {
	select {
	case k.now <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	defer k.node.Watch(func(id ID, connected bool) {
		// A connection that ends before the peer has answered would end
		// again: dial waits and says why.
		if id == k.peer && !connected && k.up.Swap(false) {
			k.hurry()
		}
	})()
	wait := firstRedial
	failing := false
	for {
		var again <-chan time.Time
		if err := k.dial(); err == nil {
			if failing {
				k.node.log.Info("connected again", "peer", k.peer)
			}
			wait, failing = firstRedial, false
		} else {
			if !failing && k.node.ctx.Err() == nil {
				k.node.log.Warn("no connection to a peer that is to be kept; it is tried again and again", "peer", k.peer, "reason", err)
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
func (k *keeper) dial() error {
	if k.up.Load() && k.connected() {
		return nil
	}
	k.node.forgetFailures(k.peer)
	ctx, cancel := context.WithTimeout(k.node.ctx, carrierTimeout)
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

func (k *keeper) connected() bool {
	return best(k.node.host.Network().ConnsToPeer(k.peer)) != nil
}
