package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// A holePuncher is libp2p's hole punching service, and what it needs. The service
// knows how to punch a hole; punchSchedule says when. By itself the service tries
// once, when a relayed connection comes in, and never while the node knows no
// public address of its own, for which it looks less and less often. Two peers that
// meet in their first second would stay on the relay until it closes the connection.
type holePuncher struct {
	service  *holepunch.Service
	identify identify.IDService
	observed *observedaddrs.Manager // the addresses at which other peers see this node
	all      func() []ma.Multiaddr  // the host's own addresses
}

// startHolePunching starts the service; it runs until the node closes.
func (n *Node) startHolePunching() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("punch holes: %w", err)
		}
	}()
	basic, ok := n.host.(interface {
		IDService() identify.IDService
		AllAddrs() []ma.Multiaddr
	})
	if !ok {
		return errors.New("the host has no identify service")
	}
	n.puncher.identify, n.puncher.all = basic.IDService(), basic.AllAddrs
	bus := n.host.EventBus()
	if n.puncher.observed, err = observedaddrs.NewManager(bus, n.host.Network()); err != nil {
		return err
	}
	sub, err := bus.Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtLocalAddressesUpdated)}, eventbus.BufSize(64))
	if err != nil {
		return err
	}
	n.puncher.observed.Start(n.host.Network())
	n.puncher.service, err = holepunch.NewService(punchHost{n.host, n}, n.puncher.identify, n.punchAddrs,
		holepunch.DirectDialTimeout(punchTimeout), holepunch.WithAddrFilter(publicOnly{}))
	if err != nil {
		sub.Close()
		n.puncher.observed.Close()
		return err
	}
	n.work.Go(func() { n.punchOnNewAddrs(sub) })
	return nil
}

// punchOnNewAddrs makes all attempts to punch holes due each time other peers see
// this node at a new address.
func (n *Node) punchOnNewAddrs(sub event.Subscription) {
	defer n.puncher.observed.Close()
	defer n.puncher.service.Close()
	defer sub.Close()
	var before []string
	for {
		select {
		case e := <-sub.Out():
			var seen []ma.Multiaddr
			if e, ok := e.(event.EvtPeerIdentificationCompleted); ok && !e.Conn.Stat().Limited && e.ObservedAddr != nil {
				seen = append(seen, e.ObservedAddr) // the manager may not have noted it yet
			}
			now := publicPlaces(append(seen, n.punchAddrs()...))
			if slices.ContainsFunc(now, func(p string) bool { return !slices.Contains(before, p) }) {
				n.punchTimes.reset()
			}
			before = now
		case <-n.ctx.Done():
			return
		}
	}
}

// publicPlaces returns the public IP addresses in addrs, each with its transport.
// Ports are left out: a symmetric NAT makes a new one for each peer.
func publicPlaces(addrs []ma.Multiaddr) []string {
	var out []string
	for _, a := range addrs {
		if ip, err := manet.ToIP(a); err == nil && manet.IsPublicAddr(a) && relayOf(a) == "" {
			out = append(out, ip.String()+" "+transportOf(a))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// punchAddrs returns where others may reach this node through a hole: all that
// it knows of itself, and where at least one other sees it. At what it listens
// is there for one reason: the service waits as long as there is nothing. The
// filter takes it off again.
func (n *Node) punchAddrs() []ma.Multiaddr {
	addrs := append(n.puncher.all(), n.puncher.observed.Addrs(1)...)
	return ma.Unique(append(addrs, n.host.Network().ListenAddresses()...))
}

// publicOnly has holes be punched from public addresses to public ones: what
// others say must not have this node dial into its LAN.
type publicOnly struct{}

func (publicOnly) FilterLocal(_ ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return !manet.IsPublicAddr(a) })
}

func (f publicOnly) FilterRemote(id ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	return f.FilterLocal(id, addrs)
}

// inboundRelayed returns a relayed connection that the peer made, or nil. DCUtR lets
// the side that accepted such a connection propose to punch a hole.
func (n *Node) inboundRelayed(id ID) network.Conn {
	for _, c := range n.host.Network().ConnsToPeer(id) {
		if s := c.Stat(); s.Limited && s.Direction == network.DirInbound && !c.IsClosed() {
			return c
		}
	}
	return nil
}

// punchHost is the host that the hole punching service gets.
type punchHost struct {
	host.Host
	node *Node
}

// NewStream opens the stream on which a hole is proposed. libp2p's own may take
// a relayed connection that this node made, if both made one; the other side
// would refuse that.
func (h punchHost) NewStream(ctx context.Context, id peer.ID, protocols ...Protocol) (network.Stream, error) {
	c := h.node.inboundRelayed(id)
	if c == nil {
		return nil, network.ErrNoConn
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	s, err := c.NewStream(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	p, err := multistream.SelectOneOf(protocols, s)
	if err != nil {
		s.Reset()
		return nil, err
	}
	return s, s.SetProtocol(p)
}

// Connect makes one attempt. When it fails the addresses are forgotten that the
// peer gave for it: as long as libp2p tried them, it would take relayed
// connections that were cut for new ones.
func (h punchHost) Connect(ctx context.Context, info peer.AddrInfo) error {
	together, _, _ := network.GetSimultaneousConnect(ctx)
	if together {
		h.node.work.Go(func() { h.node.probeContradicted(info.ID) })
	}
	known := h.Peerstore().Addrs(info.ID)
	err := h.Host.Connect(ctx, info)
	if together && err != nil {
		h.node.punchTimes.dialFailed(info.ID)
		made := slices.DeleteFunc(slices.Clone(info.Addrs), func(a ma.Multiaddr) bool { return slices.ContainsFunc(known, a.Equal) })
		h.Peerstore().SetAddrs(info.ID, made, 0)
	}
	return err
}

// Network returns the network without notifications, so that the service does not
// start attempts by itself.
func (h punchHost) Network() network.Network { return silentNetwork{h.Host.Network()} }

// silentNetwork is a network that sends no notifications.
type silentNetwork struct{ network.Network }

func (silentNetwork) Notify(network.Notifiee) {}
