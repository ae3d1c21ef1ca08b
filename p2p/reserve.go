package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

const (
	// relayBackoff is how long the node waits before it asks a relay again that refused.
	relayBackoff = 10 * time.Second
	// relaySearchInterval is how often the node looks for candidates among the
	// connected peers while it needs a relay. Until it has one, nobody can reach it.
	relaySearchInterval = 100 * time.Millisecond
)

// reservations returns two functions: reserve starts or stops keeping reservations
// at relays, and end stops it for good. libp2p itself decides by what AutoNAT finds
// for the node as a whole. But a node that others can dial over IPv6 only needs
// relays for peers that have IPv4 only.
func (n *Node) reservations() (reserve func(bool), end func()) {
	var stop func()
	end = func() {
		if stop != nil {
			stop()
			stop = nil
		}
	}
	return func(wanted bool) {
		switch {
		case wanted && stop == nil:
			var err error
			if stop, err = n.autoRelay(); err != nil {
				n.log.Info("relay discovery failed", "error", err)
			}
		case !wanted && stop != nil:
			end()
			n.forgetRelays()
		}
	}, end
}

// autoRelay starts libp2p's AutoRelay, which keeps reservations until stop.
func (n *Node) autoRelay() (stop func(), err error) {
	private := eventbus.NewBus()
	emit, err := private.Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		return nil, err
	}
	err = emit.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
	if err != nil {
		return nil, err
	}
	a, err := autorelay.NewAutoRelay(unreachableHost{n.host, unreachableBus{n.host.EventBus(), private}},
		autorelay.WithPeerSource(n.relays),
		autorelay.WithNumRelays(relaysWantedCount), autorelay.WithMinCandidates(1), autorelay.WithMaxCandidates(8),
		autorelay.WithBootDelay(0), autorelay.WithMinInterval(relaySearchInterval), autorelay.WithBackoff(relayBackoff))
	if err != nil {
		return nil, err
	}
	a.Start()
	return func() {
		a.Close()
		emit.Close()
	}, nil
}

// forgetRelays removes the relayed addresses from what the node advertises: the
// reservations are not renewed any more.
func (n *Node) forgetRelays() {
	emit, err := n.host.EventBus().Emitter(new(event.EvtAutoRelayAddrsUpdated), eventbus.Stateful)
	if err != nil {
		return
	}
	defer emit.Close()
	emit.Emit(event.EvtAutoRelayAddrsUpdated{})
}

// unreachableHost is the host that AutoRelay gets. On its event bus the node is
// always private, so that AutoRelay keeps reservations.
type unreachableHost struct {
	host.Host
	bus unreachableBus
}

func (h unreachableHost) EventBus() event.Bus { return h.bus }

type unreachableBus struct {
	event.Bus
	private event.Bus
}

func (b unreachableBus) Subscribe(what any, opts ...event.SubscriptionOpt) (event.Subscription, error) {
	if _, ok := what.(*event.EvtLocalReachabilityChanged); ok {
		return b.private.Subscribe(what, opts...)
	}
	return b.Bus.Subscribe(what, opts...)
}
