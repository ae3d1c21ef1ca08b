package p2p

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A Reach tells how others reach a node. Its fields marshal to JSON.
type Reach struct {
	// State is "local" for a node that listens on loopback only, "public" for
	// one that others can dial from anywhere, "private" for one behind a NAT
	// or a firewall, and "unknown" as long as it is none of these.
	State string `json:"state"`
	// Relays are the relays through which a private node is reached.
	Relays []ID `json:"relays,omitempty"`
}

// String says it in words.
func (r Reach) String() string {
	switch {
	case r.State == "local":
		return "from this machine only: it listens on loopback"
	case r.State == "public":
		return "public: others dial it"
	case r.State == "private" && len(r.Relays) > 0:
		relays := make([]string, len(r.Relays))
		for i, id := range r.Relays {
			relays[i] = id.String()
		}
		return "behind NAT, relayed by " + strings.Join(relays, " and ")
	case r.State == "private":
		return "behind NAT, and no relay is found yet"
	}
	return "not known yet: nobody outside has tried"
}

// reach follows how a node is reached.
type reach struct {
	mu       sync.Mutex
	now      Reach
	searched time.Time // when the network was searched for relays
	pause    time.Duration
}

// Reach tells how others reach this node, as far as is known now.
func (n *Node) Reach() Reach {
	n.reach.mu.Lock()
	defer n.reach.mu.Unlock()
	r := n.reach.now
	r.Relays = slices.Clone(r.Relays)
	return r
}

// followReach follows libp2p's findings until the node closes.
func (n *Node) followReach(sub event.Subscription, guess event.Emitter) {
	defer guess.Close()
	defer sub.Close()
	for {
		var e any
		select {
		case e = <-sub.Out():
		case <-n.ctx.Done():
			return
		}
		switch e := e.(type) {
		case event.EvtLocalReachabilityChanged:
			n.reached(func(r *Reach) { r.State = stateOf(e.Reachability) })
		case event.EvtHostReachableAddrsChanged:
			if len(e.Reachable) > 0 {
				n.reached(func(r *Reach) { r.State = "public" })
			}
		case event.EvtAutoRelayAddrsUpdated:
			var relays []ID
			for _, a := range e.RelayAddrs {
				if id := relayOf(a); id != "" && !slices.Contains(relays, id) {
					relays = append(relays, id)
				}
			}
			slices.Sort(relays)
			n.reached(func(r *Reach) { r.Relays = relays })
		case event.EvtPeerConnectednessChanged:
			if e.Connectedness == network.Connected && n.surelyPrivate(e.Peer) {
				// AutoNAT takes a quarter of a minute to find this out. It
				// corrects a wrong guess then.
				guess.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
			}
		}
	}
}

func stateOf(r network.Reachability) string {
	switch r {
	case network.ReachabilityPublic:
		return "public"
	case network.ReachabilityPrivate:
		return "private"
	}
	return "unknown"
}

// reached changes what is known, and logs it if that is news.
func (n *Node) reached(change func(*Reach)) {
	n.reach.mu.Lock()
	before := n.reach.now.String()
	change(&n.reach.now)
	now := n.reach.now.String()
	n.reach.mu.Unlock()
	if now != before {
		n.log.Info("reachable", "how", now)
	}
}

// surelyPrivate reports whether this node, of whose reachability nothing is
// known yet, must be behind a NAT: it has no public address, and dialed a peer
// that has one.
func (n *Node) surelyPrivate(peer ID) bool {
	if n.Reach().State != "unknown" {
		return false
	}
	own, err := n.host.Network().InterfaceListenAddresses()
	if err != nil || slices.ContainsFunc(own, manet.IsPublicAddr) {
		return false
	}
	return slices.ContainsFunc(n.host.Network().ConnsToPeer(peer), func(c network.Conn) bool {
		return c.Stat().Direction == network.DirOutbound && !c.Stat().Limited && manet.IsPublicAddr(c.RemoteMultiaddr())
	})
}

// startReach begins to follow.
func (n *Node) startReach() error {
	bus := n.host.EventBus()
	sub, err := bus.Subscribe([]any{
		new(event.EvtLocalReachabilityChanged), new(event.EvtHostReachableAddrsChanged),
		new(event.EvtAutoRelayAddrsUpdated), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(64))
	if err != nil {
		return fmt.Errorf("follow reachability: %w", err)
	}
	guess, err := bus.Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		sub.Close()
		return fmt.Errorf("follow reachability: %w", err)
	}
	n.spawn(func() { n.followReach(sub, guess) })
	return nil
}
