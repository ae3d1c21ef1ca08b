package p2p

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// punchTimeout is how long one attempt to punch a hole may take. Nearly all
	// that succeed do so within a round trip or two (arXiv 2510.27500).
	punchTimeout = 1500 * time.Millisecond
	// A relay looks after so many peers a minute that want to know whether
	// they can be reached; others look after 30, 3 times each.
	answers, answersEach = 1000, 60
)

// libp2p returns the options of the host.
func (n *Node) libp2p(o *Options, l *listening, key crypto.PrivKey) ([]libp2p.Option, error) {
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
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.UserAgent("dstackless"),
		libp2p.ListenAddrs(l.addrs...),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(connections),
		libp2p.ConnectionGater(gater{n.blocks, resources, n.log}),
		libp2p.DisableMetrics(),
		libp2p.SwarmOpts(swarm.WithDialRanker(n.rank)),
	}
	if o.Lab == nil {
		options = append(options, libp2p.EnableRelay()) // to dial and be dialed through others
	} else {
		options = append(options, libp2p.DisableRelay())
	}
	options = append(options, transports(o, l)...)
	if o.Relay != nil {
		limits, err := o.Relay.resources()
		if err != nil {
			resources.Close()
			connections.Close()
			return nil, err
		}
		n.relayClients = newRelayClients(n, limits.MaxReservations, limits.ReservationTTL)
		// Those that lose their place to others have it until they are gone.
		limits.MaxReservations += limits.MaxReservations/4 + 8
		options = append(options,
			libp2p.ForceReachabilityPublic(),
			libp2p.EnableRelayService(relay.WithResources(limits), relay.WithACL(n.relayClients)),
			libp2p.AutoNATServiceRateLimit(answers, answersEach, time.Minute),
			// Else it would not dial by QUIC or IPv6 to tell others that they
			// can be reached, having dialed nobody so itself.
			libp2p.UDPBlackHoleSuccessCounter(nil),
			libp2p.IPv6BlackHoleSuccessCounter(nil),
		)
	}
	if o.Lab != nil {
		options = append(options, o.Lab.Libp2p...)
	}
	if l.local {
		return options, nil
	}
	options = append(options,
		libp2p.AddrsFactory(func(addrs []ma.Multiaddr) []ma.Multiaddr {
			return n.reach.advertised(n.changes.advertised(addrs))
		}),
		libp2p.EnableNATService(),
		libp2p.EnableAutoNATv2(),
	)
	if !o.NoPortMapping {
		options = append(options, libp2p.NATManager(n.mapPorts))
	}
	return options, nil
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
func transports(o *Options, l *listening) (options []libp2p.Option) {
	switch {
	case l.quic && o.NetworkKey != nil:
		options = append(options, libp2p.Transport(keyedQUIC(o.NetworkKey)))
	case l.quic:
		options = append(options, libp2p.Transport(libp2pquic.NewTransport))
	}
	switch {
	case l.tcp && o.NetworkKey != nil:
		options = append(options, libp2p.Transport(keyedTCP(o.NetworkKey)))
	case l.tcp:
		options = append(options, libp2p.Transport(o.Lab.tcp()))
	}
	return options
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
	} else {
		n.spawn(func() { n.punch(id) }) // a relayed one may be what is left
	}
	if c.Stat().Limited && c.Stat().Direction == network.DirOutbound {
		// A peer does not tell of all relays through which it can be reached,
		// and libp2p forgets at once what it did not tell.
		n.host.Peerstore().AddAddr(c.RemotePeer(), c.RemoteMultiaddr(), addrTTL)
	}
}
