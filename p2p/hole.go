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

// holes are what holes are punched with: libp2p's service for it, which says
// how, but not when. Left to itself it tries once, when a relayed connection
// comes in, and not at all as long as it knows of no address of its own, which
// it looks for less and less often. Two peers that meet in their first second
// would stay on the relay until it cuts them.
type holes struct {
	service  *holepunch.Service
	identify identify.IDService
	observed *observedaddrs.Manager // what others say where they see this node
	all      func() []ma.Multiaddr  // what the host knows of itself
}

// startHoles begins to punch holes, until the node closes.
func (n *Node) startHoles() (err error) {
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
	n.holes.identify, n.holes.all = basic.IDService(), basic.AllAddrs
	bus := n.host.EventBus()
	if n.holes.observed, err = observedaddrs.NewManager(bus, n.host.Network()); err != nil {
		return err
	}
	sub, err := bus.Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtLocalAddressesUpdated)}, eventbus.BufSize(64))
	if err != nil {
		return err
	}
	n.holes.observed.Start(n.host.Network())
	n.holes.service, err = holepunch.NewService(holeHost{n.host, n}, n.holes.identify, n.holeAddrs,
		holepunch.DirectDialTimeout(punchTimeout), holepunch.WithAddrFilter(publicOnly{}))
	if err != nil {
		sub.Close()
		n.holes.observed.Close()
		return err
	}
	n.spawn(func() { n.followHoles(sub) })
	return nil
}

// followHoles has holes be punched that could not be before, each time the node
// is seen elsewhere.
func (n *Node) followHoles(sub event.Subscription) {
	defer n.holes.observed.Close()
	defer n.holes.service.Close()
	defer sub.Close()
	var before []string
	for {
		select {
		case e := <-sub.Out():
			var seen []ma.Multiaddr
			if e, ok := e.(event.EvtPeerIdentificationCompleted); ok && !e.Conn.Stat().Limited && e.ObservedAddr != nil {
				seen = append(seen, e.ObservedAddr) // the manager may not have noted it yet
			}
			now := places(append(seen, n.holeAddrs()...))
			if slices.ContainsFunc(now, func(p string) bool { return !slices.Contains(before, p) }) {
				n.punches.again()
			}
			before = now
		case <-n.ctx.Done():
			return
		}
	}
}

// places returns at which public IP addresses, over which transports, addrs
// are. A symmetric NAT makes a new port for each peer, which is no news.
func places(addrs []ma.Multiaddr) []string {
	var out []string
	for _, a := range addrs {
		if ip, err := manet.ToIP(a); err == nil && manet.IsPublicAddr(a) && relayOf(a) == "" {
			out = append(out, ip.String()+" "+transportOf(a))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// holeAddrs returns where others may reach this node through a hole: all that
// it knows of itself, and where at least one other sees it. At what it listens
// is there for one reason: the service waits as long as there is nothing. The
// filter takes it off again.
func (n *Node) holeAddrs() []ma.Multiaddr {
	addrs := append(n.holes.all(), n.holes.observed.Addrs(1)...)
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

// inward returns a connection on which this node, as the protocol has it, may
// propose to punch a hole: a relayed one that the peer made.
func (n *Node) inward(id ID) network.Conn {
	for _, c := range n.host.Network().ConnsToPeer(id) {
		if s := c.Stat(); s.Limited && s.Direction == network.DirInbound && !c.IsClosed() {
			return c
		}
	}
	return nil
}

// holeHost is the host as the service sees it.
type holeHost struct {
	host.Host
	node *Node
}

// NewStream opens the stream on which a hole is proposed. libp2p's own may take
// a relayed connection that this node made, if both made one; the other side
// would refuse that.
func (h holeHost) NewStream(ctx context.Context, id peer.ID, protocols ...Protocol) (network.Stream, error) {
	c := h.node.inward(id)
	if c == nil {
		return nil, network.ErrNoConn
	}
	ctx, cancel := context.WithTimeout(ctx, carrierTimeout)
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
func (h holeHost) Connect(ctx context.Context, info peer.AddrInfo) error {
	together, _, _ := network.GetSimultaneousConnect(ctx)
	if together {
		h.node.spawn(func() { h.node.contradict(info.ID) })
	}
	known := h.Peerstore().Addrs(info.ID)
	err := h.Host.Connect(ctx, info)
	if together && err != nil {
		h.node.punches.tried(info.ID)
		made := slices.DeleteFunc(slices.Clone(info.Addrs), func(a ma.Multiaddr) bool { return slices.ContainsFunc(known, a.Equal) })
		h.Peerstore().SetAddrs(info.ID, made, 0)
	}
	return err
}

// Network is the network that tells the service of no connections.
func (h holeHost) Network() network.Network { return quietNetwork{h.Host.Network()} }

// quietNetwork is a network that tells of nothing that happens on it.
type quietNetwork struct{ network.Network }

func (quietNetwork) Notify(network.Notifiee) {}
