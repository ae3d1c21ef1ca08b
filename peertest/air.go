package peertest

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/marcopolo/simnet"
)

// air is the network of a simulation: it carries packets at once, from memory to
// memory. Time is spent on the ways that lead into it.
type air struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*simnet.SimConn
}

// firstPort is where simulated peers listen, and dial from.
const firstPort = 4001

func (a *air) listen(ip net.IP, port int) (net.PacketConn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, _ := netip.AddrFromSlice(ip.To4())
	if port == 0 {
		for port = firstPort; a.sockets[netip.AddrPortFrom(at, uint16(port))] != nil; port++ {
		}
	}
	key := netip.AddrPortFrom(at, uint16(port))
	if a.sockets[key] != nil {
		return nil, fmt.Errorf("listen on %v: %w", key, syscall.EADDRINUSE)
	}
	c := simnet.NewBlockingSimConn(net.UDPAddrFromAddrPort(key))
	c.SetUpPacketReceiver(a)
	a.sockets[key] = c
	return &airConn{c, a, key}, nil
}

// RecvPacket implements simnet.PacketReceiver: it takes what a socket sends.
func (a *air) RecvPacket(p *simnet.Packet) {
	to, ok := endpointOf(p.To)
	if !ok {
		return
	}
	a.mu.Lock()
	c := a.sockets[to.addr]
	a.mu.Unlock()
	if c != nil {
		c.RecvPacket(p)
	}
}

// An airConn is a socket whose port is free again when it is closed.
type airConn struct {
	*simnet.SimConn
	air *air
	at  netip.AddrPort
}

func (c *airConn) Close() error {
	c.air.mu.Lock()
	if c.air.sockets[c.at] == c.SimConn {
		delete(c.air.sockets, c.at)
	}
	c.air.mu.Unlock()
	return c.SimConn.Close()
}
