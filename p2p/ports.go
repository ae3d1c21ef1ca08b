package p2p

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	ma "github.com/multiformats/go-multiaddr"
)

// routerCloseTimeout is how long it may take to give back what a router opened. One
// that is no longer there is asked by libp2p for more than a minute.
const routerCloseTimeout = 2 * time.Second

// A portMapper asks the router to let others in: by NAT-PMP, and one that does
// not speak it by UPnP. It begins anew each time that the machine has joined
// another network; libp2p's own looks for a router once. It implements
// basichost.NATManager.
type portMapper struct {
	network network.Network
	work    sync.WaitGroup
	told    []ma.Multiaddr // by the log; for the goroutine that follows the reach

	mu     sync.Mutex
	closed bool
	end    context.CancelFunc
	router basichost.NATManager // nil: it is sought
}

// mapPorts begins to, for a host that is being made.
func (n *Node) mapPorts(nw network.Network) basichost.NATManager {
	n.ports = &portMapper{network: nw, end: func() {}}
	n.ports.again()
	return n.ports
}

// again looks for a router anew.
func (p *portMapper) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.end()
	ctx, cancel := context.WithCancel(context.Background())
	p.end, p.router = cancel, nil
	p.work.Go(func() { p.follow(ctx) })
}

// follow has the router of the network that the machine is in open ports until
// ctx ends.
func (p *portMapper) follow(ctx context.Context) {
	g, err := findGateway(p.network)
	if err == nil {
		p.found(ctx, g)
		g.keep(ctx)
		return
	}
	if ctx.Err() != nil {
		return
	}
	// By now the node listens, and when it ceases to it also closes: told of
	// both at once, libp2p may leave ports open.
	r := basichost.NewNATManager(silentNetwork{p.network})
	p.found(ctx, r)
	<-ctx.Done()
	r.Close()
}

func (p *portMapper) found(ctx context.Context, router basichost.NATManager) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil { // else another is sought already
		p.router = router
	}
}

// opened returns the addresses that the router gave.
func (p *portMapper) opened() (addrs []ma.Multiaddr) {
	for _, l := range p.network.ListenAddresses() {
		if a := p.GetMapping(l); a != nil {
			addrs = append(addrs, a)
		}
	}
	return ma.Unique(addrs)
}

// tellOpened logs what the router has opened since the last call.
func (n *Node) tellOpened() {
	if n.ports == nil {
		return
	}
	now := n.ports.opened()
	for _, a := range now {
		if !slices.ContainsFunc(n.ports.told, a.Equal) {
			n.log.Info("the router has opened a port", "addr", a)
		}
	}
	n.ports.told = now
}

func (p *portMapper) current() basichost.NATManager {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.router
}

// GetMapping implements basichost.NATManager.
func (p *portMapper) GetMapping(addr ma.Multiaddr) ma.Multiaddr {
	if r := p.current(); r != nil {
		return r.GetMapping(addr)
	}
	return nil
}

// HasDiscoveredNAT implements basichost.NATManager.
func (p *portMapper) HasDiscoveredNAT() bool {
	r := p.current()
	return r != nil && r.HasDiscoveredNAT()
}

// Close gives back what the router opened, as far as that is quick.
func (p *portMapper) Close() error {
	p.mu.Lock()
	p.closed = true
	p.end()
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.work.Wait()
	}()
	select {
	case <-done:
	case <-time.After(routerCloseTimeout):
	}
	return nil
}
