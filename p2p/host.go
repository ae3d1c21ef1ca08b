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
	dialBacksPerMinuteMax, dialBacksOfPeerMax = 1000, 60
)

// libp2p returns the configuration of the host. It does not use the options of
// package libp2p, which would link transports that no node has.
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

// adjust applies the options that are not defaults.
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
		c.AutoNATConfig.ThrottleGlobalLimit, c.AutoNATConfig.ThrottlePeerLimit = dialBacksPerMinuteMax, dialBacksOfPeerMax
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
		return n.reach.advertised(n.addrs.advertised(addrs))
	}
	c.AutoNATConfig.EnableService = true
	c.EnableAutoNATv2 = true
	if !o.NoPortMapping {
		c.NATManager = n.mapPorts
	}
	return nil
}

// relayDialDelay is how long direct addresses have before relayed ones are dialed.
// libp2p's half a second, on each of the hundreds of connections that a relay
// cuts, would make up most of a move. Who gets through only later is connected
// directly all the same: each relayed connection is tried to be replaced.
//
// Relays to which there is no connection come after those to which there is one:
// libp2p dials a peer through one relay at a time, and waits for a dead one for
// seconds.
const relayDialDelay, otherRelayDialDelay = 20 * time.Millisecond, 200 * time.Millisecond

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
			ranked[i].Delay = max(r.Delay, otherRelayDialDelay)
		default:
			ranked[i].Delay = min(r.Delay, relayDialDelay)
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

// startBackground begins all that runs beside the host.
func (n *Node) startBackground(o *Options, l *listening) error {
	if !l.local {
		if err := n.startHolePunching(); err != nil {
			return err
		}
	}
	n.resources.serve(resumableProtocol)
	n.handle(resumableProtocol, n.acceptLink)
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
	n.addrs.addrs = machineAddrs()
	n.work.Go(n.watchAddrs)
	n.work.Go(n.sendKeepalives)
	if !o.NoLAN {
		n.work.Go(func() { n.findLANPeers(mdnsService(o.NetworkKey)) })
	}
	return n.startReach()
}

// connected is called for each new connection.
func (n *Node) connected(_ network.Network, c network.Conn) {
	id := c.RemotePeer()
	if n.blocks.has(id) { // since the handshake
		n.work.Go(func() { c.Close() })
		return
	}
	if scope, ok := c.Scope().(*connScope); ok && scope.revoked.Load() { // since the handshake
		n.work.Go(func() { c.Close() })
		return
	}
	n.searches.forget(id)
	n.dials.forget(id)
	others := n.host.Network().ConnsToPeer(id)
	n.noteNewConn(id)
	relayed := slices.ContainsFunc(others, func(c network.Conn) bool { return c.Stat().Limited })
	n.work.Go(func() { n.punch(id) })
	n.work.Go(func() { n.compareClock(c) })
	n.work.Go(func() {
		switch {
		case c.Stat().Limited && len(others) == 1:
			level := slog.LevelInfo
			if !n.relayedLogged.add(id) {
				level = slog.LevelDebug // the relay cut, as it does all the time
			}
			n.log.Log(n.ctx, level, "connected through a relay", "peer", id, "relay", relayOf(c.RemoteMultiaddr()))
		case len(others) < 2:
			return
		case c.Stat().Limited:
			if c.Stat().Direction == network.DirInbound {
				n.probeContradicted(id)
			}
		case relayed:
			n.upgraded.Store(c, nil)
			n.relayedLogged.remove(id)
			n.log.Info("hole punched, connected directly", "peer", id, "addr", c.RemoteMultiaddr())
			n.moveOffRelay(id)
		default:
			// A peer that has a connection dials again: the old connection may be
			// dead at the peer's end.
			n.probe(id)
		}
	})
}

// disconnected is called for each connection that is lost.
func (n *Node) disconnected(_ network.Network, c network.Conn) {
	n.upgraded.Delete(c)
	n.budgets.Delete(c)
	if id := c.RemotePeer(); n.host.Network().Connectedness(id) == network.NotConnected {
		n.losses.peerLost(id)
		n.relayClients.gone(id)
		n.forgetClock(id)
	} else {
		n.work.Go(func() { n.punch(id) }) // a relayed one may be what is left
	}
	if c.Stat().Limited && c.Stat().Direction == network.DirOutbound {
		// A peer does not advertise all relays through which it can be reached,
		// and libp2p forgets at once the addresses that it does not advertise.
		n.host.Peerstore().AddAddr(c.RemotePeer(), c.RemoteMultiaddr(), addrTTL)
	}
}
