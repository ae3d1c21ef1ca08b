package p2p

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-netroute"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// gatewayTimeout is how long a gateway has to answer. One that speaks
	// NAT-PMP does so at once.
	gatewayTimeout = 2 * time.Second
	// A port is opened for portLifetime, and again each portRenewal: so what a
	// router forgets that starts anew is soon open again, and what a peer forgets
	// that crashes is soon shut.
	portLifetime, portRenewal = 2 * time.Minute, 40 * time.Second
)

// A gateway is a router that opens ports by NAT-PMP (RFC 6886). It implements
// basichost.NATManager. libp2p speaks that protocol too, but version 0.51 does not
// find the gateway on Linux.
type gateway struct {
	client  *natpmp.Client
	network network.Network

	mu      sync.Mutex
	outside netip.Addr // the router's own address
	ports   map[port]uint16
}

// A port is one at which the node listens.
type port struct {
	protocol string // "tcp" or "udp"
	number   uint16
}

// findGateway returns the machine's gateway, if it speaks NAT-PMP.
func findGateway(nw network.Network) (*gateway, error) {
	routes, err := netroute.New()
	if err != nil {
		return nil, err
	}
	// An address that exists nowhere (RFC 5737): the way there is the way to all
	// that is not near.
	_, at, _, err := routes.Route(net.IPv4(192, 0, 2, 1))
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, errors.New("there is no gateway")
	}
	g := &gateway{client: natpmp.NewClientWithTimeout(at, gatewayTimeout), network: nw, ports: map[port]uint16{}}
	_, err = g.client.GetExternalAddress()
	return g, err
}

// keep has ports be open until ctx ends.
func (g *gateway) keep(ctx context.Context) {
	news := make(chan struct{}, 1)
	listened := func(network.Network, ma.Multiaddr) {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	notify := &network.NotifyBundle{ListenF: listened}
	g.network.Notify(notify)
	defer g.network.StopNotify(notify)
	ticker := time.NewTicker(portRenewal)
	defer ticker.Stop()
	for {
		g.open()
		select {
		case <-news:
		case <-ticker.C:
		case <-ctx.Done():
			g.shut()
			return
		}
	}
}

// open opens all ports, or again.
func (g *gateway) open() {
	var outside netip.Addr
	if r, err := g.client.GetExternalAddress(); err == nil {
		outside = netip.AddrFrom4(r.ExternalIPAddress)
	}
	g.mu.Lock()
	g.outside = outside
	g.mu.Unlock()
	if !outside.IsValid() {
		return
	}
	for _, a := range g.network.ListenAddresses() {
		p, ok := portOf(a)
		if !ok {
			continue
		}
		g.mu.Lock()
		wish := g.ports[p]
		g.mu.Unlock()
		if wish == 0 {
			wish = p.number
		}
		r, err := g.client.AddPortMapping(p.protocol, int(p.number), int(wish), int(portLifetime/time.Second))
		g.mu.Lock()
		delete(g.ports, p)
		if err == nil {
			g.ports[p] = r.MappedExternalPort
		}
		g.mu.Unlock()
	}
}

// shut has the router shut what it opened, unless it is gone.
func (g *gateway) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.ports {
		if _, err := g.client.AddPortMapping(p.protocol, int(p.number), 0, 0); err != nil {
			return
		}
	}
}

// portOf returns the port of a listen address that a router can open: one of
// IPv4, and not only for this machine.
func portOf(a ma.Multiaddr) (p port, ok bool) {
	addr, err := manet.ToNetAddr(a)
	if err != nil {
		first, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Code() == ma.P_QUIC_V1 })
		if addr, err = manet.ToNetAddr(first); err != nil {
			return p, false
		}
	}
	var at netip.AddrPort
	switch addr := addr.(type) {
	case *net.TCPAddr:
		p.protocol, at = "tcp", addr.AddrPort()
	case *net.UDPAddr:
		p.protocol, at = "udp", addr.AddrPort()
	}
	p.number = at.Port()
	ip := at.Addr().Unmap()
	return p, ip.Is4() && !ip.IsLoopback() && p.number != 0
}

// GetMapping returns the address at which what listens at addr is open to all,
// or nil.
func (g *gateway) GetMapping(addr ma.Multiaddr) ma.Multiaddr {
	p, ok := portOf(addr)
	if !ok {
		return nil
	}
	g.mu.Lock()
	outside, number := g.outside, g.ports[p]
	g.mu.Unlock()
	if number == 0 || !outside.IsValid() {
		return nil
	}
	var at net.Addr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(outside, number))
	if p.protocol == "udp" {
		at = net.UDPAddrFromAddrPort(netip.AddrPortFrom(outside, number))
	}
	a, err := manet.FromNetAddr(at)
	if err != nil || !manet.IsPublicAddr(a) { // another NAT is behind that one
		return nil
	}
	return append(a, addr[len(a):]...)
}

// HasDiscoveredNAT implements basichost.NATManager.
func (g *gateway) HasDiscoveredNAT() bool { return true }

// Close implements basichost.NATManager. What keeps ports open ends otherwise.
func (g *gateway) Close() error { return nil }
