package peertest

import (
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
)

// overUDP returns the options that have a peer's QUIC go through the harness,
// and a function that ends what libp2p leaves to whoever gives such options.
func (nd *node) overUDP() (options []libp2p.Option, end func()) {
	var manager *quicreuse.ConnManager
	options = append(options, libp2p.QUICReuse(func() (*quicreuse.ConnManager, error) {
		reset, err := config.PrivKeyToStatelessResetKey(nd.key)
		if err != nil {
			return nil, err
		}
		token, err := config.PrivKeyToTokenGeneratorKey(nd.key)
		if err != nil {
			return nil, err
		}
		manager, err = quicreuse.NewConnManager(reset, token,
			quicreuse.OverrideListenUDP(nd.listenUDP),
			quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source(nd.ip()), nil }))
		return manager, err
	}))
	if nd.nw.opts.Simulated {
		// It waits for what never happens in virtual time.
		options = append(options, libp2p.DisableIdentifyAddressDiscovery())
	}
	return options, func() {
		if manager != nil {
			manager.Close()
		}
	}
}

// source is the address that a peer sends from.
type source net.IP

func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return net.IP(s), nil }

// ip returns the peer's only address.
func (nd *node) ip() net.IP {
	if !nd.nw.opts.Simulated {
		return net.IPv4(127, 0, 0, 1)
	}
	return net.IPv4(10, byte(nd.index>>16), byte(nd.index>>8), byte(nd.index)+1)
}

// listenUDP makes a socket of the peer.
func (nd *node) listenUDP(network string, addr *net.UDPAddr) (net.PacketConn, error) {
	var (
		c   net.PacketConn
		err error
	)
	if nd.nw.opts.Simulated {
		c, err = nd.nw.air.listen(nd.ip(), addr.Port)
	} else {
		c, err = net.ListenUDP(network, addr)
	}
	if err != nil {
		return nil, err
	}
	nd.nw.own(c.LocalAddr(), nd.index)
	return &socket{c, nd}, nil
}

// A socket is a peer's UDP socket. What it sends goes the ways of the network.
type socket struct {
	net.PacketConn
	node *node
}

// WriteTo implements net.PacketConn. Nobody is told of a packet that gets lost.
func (s *socket) WriteTo(b []byte, addr net.Addr) (int, error) {
	nw := s.node.nw
	to, known := nw.owner(addr)
	if !known {
		return s.PacketConn.WriteTo(b, addr)
	}
	w := nw.ways[s.node.index][to]
	if s.node.running() == nil || nw.nodes[to].running() == nil || w.isBlocked() {
		return len(b), nil
	}
	if w.isPlain() {
		return s.PacketConn.WriteTo(b, addr)
	}
	nw.post(w, &packet{data: append([]byte(nil), b...), to: addr, from: s, owner: nw.nodes[to]})
	return len(b), nil
}

// SetReadBuffer is asked for by quic-go, which warns when it is not there.
func (s *socket) SetReadBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetReadBuffer(int) error }); ok {
		return c.SetReadBuffer(n)
	}
	return nil
}

// SetWriteBuffer is asked for by quic-go as SetReadBuffer is.
func (s *socket) SetWriteBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetWriteBuffer(int) error }); ok {
		return c.SetWriteBuffer(n)
	}
	return nil
}

// An endpoint is who sends from an address, or listens at it.
type endpoint struct {
	network string
	addr    netip.AddrPort
}

func endpointOf(a net.Addr) (endpoint, bool) {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		at = a.AddrPort()
	case *net.TCPAddr:
		at = a.AddrPort()
	default:
		return endpoint{}, false
	}
	return endpoint{a.Network(), netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}, true
}
