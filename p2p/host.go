package p2p

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/fx"
)

const (
	// punchTimeout is how long one attempt to punch a hole may take. Nearly all
	// that succeed do so within a round trip or two (arXiv 2510.27500).
	punchTimeout = 1500 * time.Millisecond
	// A relay looks after so many peers a minute that want to know whether
	// they can be reached; others look after 30, 3 times each.
	answers, answersEach = 1000, 60
)

// libp2p returns what the host is made of. Libp2p's own package of options is not
// used: it would link transports that no node has. See the test of what is linked.
func (n *Node) libp2p(o *Options, l *listening, key crypto.PrivKey) (*config.Config, error) {
	resources, err := newResources(n)
	if err != nil {
		return nil, fmt.Errorf("p2p: resource limits: %w", err)
	}
	n.resources = resources
	connections, err := connectionManager()
	if err != nil {
		resources.Close()
		return nil, fmt.Errorf("p2p: connection limits: %w", err)
	}
	addresses, err := pstoremem.NewPeerstore()
	if err != nil {
		resources.Close()
		connections.Close()
		return nil, fmt.Errorf("p2p: address book: %w", err)
	}
	c := &config.Config{
		PeerKey:            key,
		UserAgent:          "dstackless",
		ListenAddrs:        l.addrs,
		ResourceManager:    resources,
		ConnManager:        connections,
		ConnectionGater:    gater{n.blocks, resources, n.log},
		Peerstore:          addresses,
		SecurityTransports: []config.Security{{ID: tls.ID, Constructor: tls.New}, {ID: noise.ID, Constructor: noise.New}},
		Muxers:             []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}},
		Transports:         transports(o, l),
		SwarmOpts:          []swarm.Option{swarm.WithDialRanker(n.rank)},
		DisableMetrics:     true,
		RelayCustom:        true,
		Relay:              o.TestHooks == nil, // to dial and be dialed through others
		// So few of the last dials must have succeeded for more to be worth it.
		UDPBlackHoleSuccessCounter:  &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: "UDP"},
		IPv6BlackHoleSuccessCounter: &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: "IPv6"},
	}
	if err := n.adjust(c, o, l); err != nil {
		resources.Close()
		connections.Close()
		addresses.Close()
		return nil, err
	}
	return c, nil
}

// adjust makes of the host what the options want of it besides.
func (n *Node) adjust(c *config.Config, o *Options, l *listening) error {
	if o.Relay != nil {
		limits, err := o.Relay.resources()
		if err != nil {
			return err
		}
		n.relayClients = newRelayClients(n, limits.MaxReservations, limits.ReservationTTL)
		// Those that lose their place to others have it until they are gone.
		limits.MaxReservations += limits.MaxReservations/4 + 8
		public := network.ReachabilityPublic
		c.AutoNATConfig.ForceReachability = &public
		c.EnableRelayService = true
		c.RelayServiceOpts = []relay.Option{relay.WithResources(limits), relay.WithACL(n.relayClients)}
		c.AutoNATConfig.ThrottleGlobalLimit, c.AutoNATConfig.ThrottlePeerLimit = answers, answersEach
		c.AutoNATConfig.ThrottleInterval = time.Minute
		// Else it would not dial by QUIC or IPv6 to tell others that they can be
		// reached, having dialed nobody so itself.
		c.UDPBlackHoleSuccessCounter, c.IPv6BlackHoleSuccessCounter = nil, nil
	}
	if o.TestHooks != nil {
		if err := c.Apply(o.TestHooks.Libp2p...); err != nil {
			return err
		}
	}
	if l.local {
		return nil
	}
	c.AddrsFactory = func(addrs []ma.Multiaddr) []ma.Multiaddr {
		return n.reach.advertised(n.changes.advertised(addrs))
	}
	c.AutoNATConfig.EnableService = true
	c.EnableAutoNATv2 = true
	if !o.NoPortMapping {
		c.NATManager = n.mapPorts
	}
	return nil
}

// relayDelay is how long direct addresses have before relayed ones are dialed.
// libp2p's half a second, on each of the hundreds of connections that a relay
// cuts, would make up most of a move. Who gets through only later is connected
// directly all the same: each relayed connection is tried to be replaced.
//
// Relays to which there is no connection come after those to which there is one:
// libp2p dials a peer through one relay at a time, and waits for a dead one for
// seconds.
const relayDelay, otherRelayDelay = 20 * time.Millisecond, 200 * time.Millisecond

// rank says when each address of a peer is dialed.
func (n *Node) rank(addrs []ma.Multiaddr) []network.AddrDelay {
	ranked := swarm.DefaultDialRanker(addrs)
	near := func(a ma.Multiaddr) bool {
		return n.host.Network().Connectedness(relayOf(a)) == network.Connected
	}
	some := slices.ContainsFunc(addrs, near)
	for i, r := range ranked {
		switch {
		case relayOf(r.Addr) == "":
		case some && !near(r.Addr):
			ranked[i].Delay = max(r.Delay, otherRelayDelay)
		default:
			ranked[i].Delay = min(r.Delay, relayDelay)
		}
	}
	return ranked
}

// transports returns those that the node listens on. It dials with no others: a
// peer that listens on TCP alone and reaches a relay by QUIC would never learn
// which TCP port its NAT gives it, and could punch no hole.
func transports(o *Options, l *listening) (all []fx.Option) {
	add := func(constructor any) {
		all = append(all, fx.Provide(fx.Annotate(constructor, fx.As(new(transport.Transport)), fx.ResultTags(`group:"transport"`))))
	}
	switch {
	case l.quic && o.NetworkKey != nil:
		add(keyedQUIC(o.NetworkKey))
	case l.quic:
		add(libp2pquic.NewTransport)
	}
	switch {
	case l.tcp && o.NetworkKey != nil:
		add(keyedTCP(o.NetworkKey))
	case l.tcp:
		add(o.TestHooks.NewTCP())
	}
	return all
}

// follow begins all that runs beside the host.
func (n *Node) follow(o *Options, l *listening) error {
	if !l.local {
		if err := n.startHoles(); err != nil {
			return err
		}
	}
	n.resources.serve(lastingProtocol)
	n.handle(lastingProtocol, n.acceptCarrier)
	n.Handle(clockProtocol, n.tellClock)
	n.host.Network().Notify(&network.NotifyBundle{ConnectedF: n.connected, DisconnectedF: n.disconnected})
	n.reach.asked = "unknown"
	if o.Relay != nil {
		n.reach.asked, n.reach.given = "public", true
	}
	if l.local {
		n.reach.asked = "local"
	}
	n.reach.now.State = n.reach.asked
	n.log.Info("reachable", "how", n.reach.now.String())
	if l.local {
		return nil
	}
	n.changes.addrs = machineAddrs()
	n.spawn(n.followChanges)
	n.spawn(n.followPulse)
	if !o.NoLAN {
		n.spawn(func() { n.followLAN(lanName(o.NetworkKey)) })
	}
	return n.startReach()
}

// connected is called for each new connection.
func (n *Node) connected(_ network.Network, c network.Conn) {
	id := c.RemotePeer()
	if n.blocks.has(id) { // since the handshake
		n.spawn(func() { c.Close() })
		return
	}
	if scope, ok := c.Scope().(*connScope); ok && scope.revoked.Load() { // since the handshake
		n.spawn(func() { c.Close() })
		return
	}
	n.searches.forget(id)
	n.dials.forget(id)
	others := n.host.Network().ConnsToPeer(id)
	n.hurry(id)
	relayed := slices.ContainsFunc(others, func(c network.Conn) bool { return c.Stat().Limited })
	n.spawn(func() { n.punch(id) })
	n.spawn(func() { n.compareClock(c) })
	n.spawn(func() {
		switch {
		case c.Stat().Limited && len(others) == 1:
			level := slog.LevelInfo
			if !n.relayed.add(id) {
				level = slog.LevelDebug // the relay cut, as it does all the time
			}
			n.log.Log(n.ctx, level, "connected through a relay", "peer", id, "relay", relayOf(c.RemoteMultiaddr()))
		case len(others) < 2:
			return
		case c.Stat().Limited:
			if c.Stat().Direction == network.DirInbound {
				n.contradict(id)
			}
		case relayed:
			n.upgraded.Store(c, nil)
			n.relayed.remove(id)
			n.log.Info("hole punched: connected directly from now on", "peer", id, "addr", c.RemoteMultiaddr())
			n.climb(id)
		default:
			// A peer dials again that has a connection: the old one may be dead
			// at its end.
			n.doubt(id)
		}
	})
}

// disconnected is called for each connection that is lost.
func (n *Node) disconnected(_ network.Network, c network.Conn) {
	n.upgraded.Delete(c)
	n.budgets.Delete(c)
	if id := c.RemotePeer(); n.host.Network().Connectedness(id) == network.NotConnected {
		n.shocks.lost(id)
		n.relayClients.gone(id)
		n.forgetClock(id)
	} else {
		n.spawn(func() { n.punch(id) }) // a relayed one may be what is left
	}
	if c.Stat().Limited && c.Stat().Direction == network.DirOutbound {
		// A peer does not tell of all relays through which it can be reached,
		// and libp2p forgets at once what it did not tell.
		n.host.Peerstore().AddAddr(c.RemotePeer(), c.RemoteMultiaddr(), addrTTL)
	}
}
