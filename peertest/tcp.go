package peertest

import (
	"context"
	"net"
	"syscall"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// transport makes the peer's TCP transport: libp2p's own, which dials through
// the harness.
func (nd *node) transport(u transport.Upgrader, r network.ResourceManager, shared *tcpreuse.ConnMgr) (*tcp.TcpTransport, error) {
	dialer := func(ma.Multiaddr) (tcp.ContextDialer, error) { return nd, nil }
	return tcp.NewTCPTransport(&upgrader{u, nd}, r, shared, tcp.WithDialerForAddr(dialer))
}

// DialContext implements tcp.ContextDialer.
func (nd *node) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	refused := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Err: err}
	}
	nw := nd.nw
	at, err := net.ResolveTCPAddr(network, addr) // libp2p has looked names up
	if err != nil {
		return nil, refused(err)
	}
	to, known := nw.owner(at)
	switch {
	case nd.running() == nil:
		return nil, refused(syscall.ENETDOWN)
	case known && nw.nodes[to].running() == nil:
		return nil, refused(syscall.ECONNREFUSED)
	case known && nw.ways[nd.index][to].isSevered():
		return nil, refused(syscall.EHOSTUNREACH)
	}
	var d net.Dialer
	far, err := d.DialContext(ctx, network, addr)
	if err != nil || !known {
		return far, err
	}
	dialed, near, err := nw.pair(ctx)
	if err != nil {
		far.Close()
		return nil, err
	}
	r := &relay{nw: nw, from: nd.index, to: to, near: near, far: far.(*net.TCPConn), done: make(chan struct{})}
	if !nw.begin(r) {
		r.reset()
		dialed.Close()
		return nil, refused(syscall.EHOSTUNREACH)
	}
	return dialed, nil
}

// An upgrader is libp2p's, for connections that say where the peer wanted to go,
// and not that the harness is there.
type upgrader struct {
	transport.Upgrader
	node *node
}

func (u *upgrader) Upgrade(ctx context.Context, t transport.Transport, c manet.Conn, dir network.Direction, id peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if remote := u.node.nw.beyond(c.LocalAddr()); remote != nil {
		if a, err := manet.FromNetAddr(remote); err == nil {
			c = &conn{c, remote, a}
		}
	}
	return u.Upgrader.Upgrade(ctx, t, c, dir, id, scope)
}

// A conn is a connection to the harness that goes on elsewhere.
type conn struct {
	manet.Conn
	remote    net.Addr
	multiaddr ma.Multiaddr
}

func (c *conn) RemoteAddr() net.Addr          { return c.remote }
func (c *conn) RemoteMultiaddr() ma.Multiaddr { return c.multiaddr }

// beyond returns where the connection leads that a peer dialed from local, or
// nil.
func (nw *Network) beyond(local net.Addr) net.Addr {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	if r := nw.relays[local.String()]; r != nil {
		return r.far.RemoteAddr()
	}
	return nil
}
