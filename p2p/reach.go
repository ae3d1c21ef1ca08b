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
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A Reach tells how others reach a node. Its fields marshal to JSON.
type Reach struct {
	// State is "local" for a node that listens on loopback only, "public" for
	// one that others can dial from anywhere, "private" for one behind a NAT
	// or a firewall, and "unknown" as long as it is none of these.
	State string `json:"state"`
	// Over holds the protocols, "IPv4" and "IPv6", over which others have
	// dialed a public node to see whether they can.
	Over []string `json:"over,omitempty"`
	// Mapped tells that they did at a port that a router has opened for it.
	Mapped bool `json:"mapped,omitempty"`
	// Relays are the relays through which a node is reached that not all can dial.
	Relays []ID `json:"relays,omitempty"`
}

// String says it in words.
func (r Reach) String() string {
	relays := make([]string, len(r.Relays))
	for i, id := range r.Relays {
		relays[i] = id.String()
	}
	relayed := strings.Join(relays, " and ")
	switch {
	case r.State == "local":
		return "from this machine only: it listens on loopback"
	case r.State == "public":
		said := "public: others dial it"
		if len(r.Over) > 0 {
			said += " over " + strings.Join(r.Over, " and ")
		}
		if r.Mapped {
			said += ", at a port that the router has opened"
		}
		if relayed != "" {
			said += "; relayed by " + relayed + " to those who cannot"
		}
		return said
	case r.State == "private" && relayed != "":
		return "behind a NAT or firewall, relayed by " + relayed
	case r.State == "private":
		return "behind a NAT or firewall, and no relay is found yet"
	}
	said := "not known yet: nobody outside has tried"
	if relayed != "" {
		said += "; relayed by " + relayed
	}
	return said
}

// reach follows how a node is reached.
type reach struct {
	mu       sync.Mutex
	now      Reach
	asked    string         // the state that those have found who were asked about the node
	guessed  bool           // and that it is public was guessed
	given    bool           // and that it is public was said by who started it
	outside  bool           // the node has dialed somebody who has a public address
	relayed  []ma.Multiaddr // the node's addresses that name relays
	searched time.Time      // when the network was searched for relays
	pause    time.Duration
}

// Reach tells how others reach this node, as far as is known now.
func (n *Node) Reach() Reach {
	n.reach.mu.Lock()
	defer n.reach.mu.Unlock()
	r := n.reach.now
	r.Over, r.Relays = slices.Clone(r.Over), slices.Clone(r.Relays)
	return r
}

// watchReach follows libp2p's findings until the node closes.
func (n *Node) watchReach(sub event.Subscription, guess event.Emitter) {
	defer guess.Close()
	defer sub.Close()
	reserve, end := n.reservations()
	defer end()
	for {
		reserve(n.reach.needsRelays())
		var e any
		select {
		case e = <-sub.Out():
		case <-n.ctx.Done():
			return
		}
		switch e := e.(type) {
		case event.EvtLocalReachabilityChanged:
			n.reached(func(r *reach) { r.asked = stateOf(e.Reachability) })
		case event.EvtHostReachableAddrsChanged:
			n.dialed(e.Reachable)
			n.guess(guess, e)
		case event.EvtLocalAddressesUpdated:
			n.tellOpened()
		case event.EvtAutoRelayAddrsUpdated:
			var relays []ID
			for _, a := range e.RelayAddrs {
				if id := relayOf(a); id != "" && !slices.Contains(relays, id) {
					relays = append(relays, id)
				}
			}
			slices.Sort(relays)
			n.reached(func(r *reach) { r.now.Relays, r.relayed = relays, slices.Clone(e.RelayAddrs) })
		case event.EvtPeerConnectednessChanged:
			switch {
			case e.Connectedness == network.Connected && n.outside(e.Peer):
				n.reached(func(r *reach) { r.outside = true })
				own, err := n.host.Network().InterfaceListenAddresses()
				if err == nil && !slices.ContainsFunc(own, manet.IsPublicAddr) {
					// It must be behind a NAT. AutoNAT takes a quarter of a minute
					// to find this out, and corrects a wrong guess then.
					guess.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
				}
			case e.Connectedness == network.NotConnected && n.cutOff():
				// Those that are left, on a LAN, can dial each other, and the
				// hash table must be with one of them.
				guess.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityUnknown})
			}
		}
	}
}

// guess derives the node's reachability from the addresses at which other peers
// dialed it successfully. AutoNAT, which asks about the node as a whole, takes longer
// to find that a router has opened a port, or that a firewall is in the way.
func (n *Node) guess(emit event.Emitter, e event.EvtHostReachableAddrsChanged) {
	n.reach.mu.Lock()
	r, guessed := n.reach.asked, n.reach.guessed
	four := slices.Contains(n.reach.now.Over, "IPv4")
	n.reach.guessed = four && (guessed || r != "public")
	n.reach.mu.Unlock()
	switch {
	case four && r != "public":
		emit.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPublic})
	case !four && guessed:
		emit.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityUnknown})
	case r == "unknown" && len(e.Reachable)+len(e.Unknown) == 0 && len(e.Unreachable) > 0:
		emit.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
	}
}

// dialed records at which of the node's addresses other peers reached it.
func (n *Node) dialed(addrs []ma.Multiaddr) {
	var over []string
	for _, x := range []struct {
		name string
		code int
	}{{"IPv4", ma.P_IP4}, {"IPv6", ma.P_IP6}} {
		if slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return a[0].Code() == x.code }) {
			over = append(over, x.name)
		}
	}
	mapped := n.ports != nil && slices.ContainsFunc(n.ports.opened(), func(a ma.Multiaddr) bool {
		return slices.ContainsFunc(addrs, a.Equal)
	})
	n.reached(func(r *reach) { r.now.Over, r.now.Mapped = over, mapped })
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

// reached updates the reachability, and logs it if it has changed.
func (n *Node) reached(change func(*reach)) {
	n.reach.mu.Lock()
	before := n.reach.now.String()
	change(&n.reach)
	n.reach.now.State = n.reach.asked
	if len(n.reach.now.Over) > 0 {
		n.reach.now.State = "public"
	}
	now := n.reach.now.String()
	n.reach.mu.Unlock()
	if now != before {
		n.log.Info("reachable", "how", now)
	}
}

// needsRelays reports whether some cannot dial the node, or may not be able to.
func (r *reach) needsRelays() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.given, slices.Contains(r.now.Over, "IPv4"): // all have that
		return false
	case len(r.now.Over) > 0, r.asked == "private":
		return true
	}
	return r.outside && r.asked == "unknown" // a firewall is noticed after seconds
}

// advertised adds relayed addresses to what a node tells others that is dialed
// over IPv6 alone: not all have that. libp2p tells either.
func (r *reach) advertised(addrs []ma.Multiaddr) []ma.Multiaddr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.now.Over) == 1 && r.now.Over[0] == "IPv6" {
		return ma.Unique(append(addrs, r.relayed...))
	}
	return addrs
}

// outside reports whether this node, of whose reachability nothing is known yet,
// dialed a peer that has a public address.
func (n *Node) outside(peer ID) bool {
	return n.Reach().State == "unknown" && slices.ContainsFunc(n.host.Network().ConnsToPeer(peer), func(c network.Conn) bool {
		return c.Stat().Direction == network.DirOutbound && !c.Stat().Limited && manet.IsPublicAddr(c.RemoteMultiaddr())
	})
}

// cutOff reports whether a private node has lost the last of those outside who
// could tell what it is to them.
func (n *Node) cutOff() bool {
	return n.Reach().State == "private" && !slices.ContainsFunc(n.host.Network().Conns(), func(c network.Conn) bool {
		return manet.IsPublicAddr(c.RemoteMultiaddr())
	})
}

// startReach begins to follow.
func (n *Node) startReach() error {
	bus := n.host.EventBus()
	sub, err := bus.Subscribe([]any{
		new(event.EvtLocalReachabilityChanged), new(event.EvtHostReachableAddrsChanged),
		new(event.EvtAutoRelayAddrsUpdated), new(event.EvtPeerConnectednessChanged),
		new(event.EvtLocalAddressesUpdated),
	}, eventbus.BufSize(64))
	if err != nil {
		return fmt.Errorf("follow reachability: %w", err)
	}
	guess, err := bus.Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		sub.Close()
		return fmt.Errorf("follow reachability: %w", err)
	}
	n.work.Go(func() { n.watchReach(sub, guess) })
	return nil
}
