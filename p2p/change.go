package p2p

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// glance is how often the machine's addresses are looked at. No notice that
// all systems give exists, and to look costs some 50 microseconds.
const glance = time.Second

// changes follow the addresses of the machine.
type changes struct {
	mu    sync.Mutex
	addrs []string       // IP addresses, sorted, without loopback ones
	fresh []ma.Multiaddr // interface addresses that came since the start
	calls []*func()
}

// OnChange has f called, in a goroutine of its own, each time the addresses of
// the machine have changed: a cable was plugged in, another wireless network
// was joined. Connections that the change cut are closed within some seconds.
// The returned stop ends it, without waiting for a call that runs.
//
// A node that listens on loopback only is told of nothing.
func (n *Node) OnChange(f func()) (stop func()) {
	n.changes.mu.Lock()
	defer n.changes.mu.Unlock()
	n.changes.calls = append(n.changes.calls, &f)
	return func() {
		n.changes.mu.Lock()
		defer n.changes.mu.Unlock()
		n.changes.calls = slices.DeleteFunc(n.changes.calls, func(x *func()) bool { return x == &f })
	}
}

// machineAddrs returns the machine's IP addresses, sorted, without loopback
// and link-local ones.
func machineAddrs() []string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []string
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			ips = append(ips, n.IP.String())
		}
	}
	slices.Sort(ips)
	return ips
}

func isIPv6(ip string) bool { return strings.Contains(ip, ":") }

// followChanges looks at the machine's addresses until the node closes.
func (n *Node) followChanges() {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.ctx.Done():
			return
		}
		now := machineAddrs()
		n.changes.mu.Lock()
		before := n.changes.addrs
		n.changes.addrs = now
		calls := slices.Clone(n.changes.calls)
		n.changes.mu.Unlock()
		if slices.Equal(before, now) {
			continue
		}
		n.log.Info("the addresses of this machine changed", "before", before, "now", now)
		n.freshen(now, before)
		if n.ports != nil && !slices.Equal(slices.DeleteFunc(slices.Clone(before), isIPv6), slices.DeleteFunc(slices.Clone(now), isIPv6)) {
			n.ports.again()
		}
		n.punches.again()
		n.shocks.moved()
		for _, f := range calls {
			n.spawn(*f)
		}
		n.spawn(func() {
			n.doubtAll()
			n.redial()
		})
		n.redial()
	}
}

// listenAddrs returns at which addresses the network listens, if the machine
// has these.
func listenAddrs(nw network.Network, ips []string) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, l := range nw.ListenAddresses() {
		for _, text := range ips {
			ip, err := manet.FromIP(net.ParseIP(text))
			if err != nil {
				continue
			}
			if resolved, err := manet.ResolveUnspecifiedAddress(l, []ma.Multiaddr{ip}); err == nil {
				out = append(out, resolved...)
			}
		}
	}
	return ma.Unique(out)
}

// freshen notes at which addresses the node listens since a change: libp2p
// itself would go on with the old ones for a minute.
func (n *Node) freshen(now, before []string) {
	came := slices.DeleteFunc(slices.Clone(now), func(ip string) bool { return slices.Contains(before, ip) })
	fresh := listenAddrs(n.host.Network(), came)
	n.changes.mu.Lock()
	defer n.changes.mu.Unlock()
	n.changes.fresh = fresh
}

// advertised adds what freshen found to what libp2p would tell others.
func (c *changes) advertised(addrs []ma.Multiaddr) []ma.Multiaddr {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.fresh {
		if !slices.ContainsFunc(addrs, a.Equal) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
