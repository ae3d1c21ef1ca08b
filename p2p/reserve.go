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
	// relayPause is how long a relay that refused is left alone.
	relayPause = 10 * time.Second
	// relaySearch is how often candidates are sought among the connected peers
	// while a relay is wanted. Until there is one, nobody gets through.
	relaySearch = 100 * time.Millisecond
)

// reservations returns what has the node keep reservations at relays, or not, and
// what ends that. libp2p itself would go by what AutoNAT says of the node as a
// whole, but one that others dial over IPv6 needs relays for those who have IPv4
// alone.
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
				n.log.Info("no relay is sought", "reason", err)
			}
		case !wanted && stop != nil:
			end()
			n.forgetRelays()
		}
	}, end
}

// autoRelay begins to keep reservations.
func (n *Node) autoRelay() (stop func(), err error) {
	needy := eventbus.NewBus()
	emit, err := needy.Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		return nil, err
	}
	err = emit.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
	if err != nil {
		return nil, err
	}
	a, err := autorelay.NewAutoRelay(needyHost{n.host, needyBus{n.host.EventBus(), needy}},
		autorelay.WithPeerSource(n.relays),
		autorelay.WithNumRelays(relaysWanted), autorelay.WithMinCandidates(1), autorelay.WithMaxCandidates(8),
		autorelay.WithBootDelay(0), autorelay.WithMinInterval(relaySearch), autorelay.WithBackoff(relayPause))
	if err != nil {
		return nil, err
	}
	a.Start()
	return func() {
		a.Close()
		emit.Close()
	}, nil
}

// forgetRelays has the node no longer tell of relayed addresses: nobody renews
// the reservations any more.
func (n *Node) forgetRelays() {
	emit, err := n.host.EventBus().Emitter(new(event.EvtAutoRelayAddrsUpdated), eventbus.Stateful)
	if err != nil {
		return
	}
	defer emit.Close()
	emit.Emit(event.EvtAutoRelayAddrsUpdated{})
}

// needyHost is the host as AutoRelay sees it: as one that nobody can dial.
type needyHost struct {
	host.Host
	bus needyBus
}

func (h needyHost) EventBus() event.Bus { return h.bus }

type needyBus struct {
	event.Bus
	needy event.Bus
}

func (b needyBus) Subscribe(what any, opts ...event.SubscriptionOpt) (event.Subscription, error) {
	if _, ok := what.(*event.EvtLocalReachabilityChanged); ok {
		return b.needy.Subscribe(what, opts...)
	}
	return b.Bus.Subscribe(what, opts...)
}
