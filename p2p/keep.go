package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	// A peer that is kept is dialed again after this time, doubled each time.
	firstRedial, lastRedial = time.Second, time.Minute
)

// Keep connects to the peer at addr, a full multiaddr, and connects again each
// time the connection is lost, until the node closes. It returns at once; what
// fails is tried again, after a second at first and a minute at last.
//
// The error is about the address alone.
func (n *Node) Keep(addr string) error {
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
}

func (k *keeper) hurry() {
	select {
	case k.now <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	defer k.node.Watch(func(id ID, connected bool) {
		if id == k.peer && !connected {
			k.hurry()
		}
	})()
	wait := firstRedial
	for {
		var again <-chan time.Time
		if best(k.node.host.Network().ConnsToPeer(k.peer)) != nil || k.dial() {
			wait = firstRedial
		} else {
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

func (k *keeper) dial() bool {
	k.node.forgetFailures(k.peer)
	ctx, cancel := context.WithTimeout(k.node.ctx, carrierTimeout)
	defer cancel()
	return k.node.host.Connect(network.WithAllowLimitedConn(ctx, "keep"), peer.AddrInfo{ID: k.peer}) == nil
}
