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

// addrPollInterval is how often the node reads the machine's addresses. No
// notification exists on all systems, and a read takes some 50 microseconds.
const addrPollInterval = time.Second

// addrMonitor holds the addresses of the machine, as last read.
type addrMonitor struct {
	mu       sync.Mutex
	addrs    []string       // IP addresses, sorted, without loopback ones
	newAddrs []ma.Multiaddr // interface addresses that came since the start
	calls    []*func()
}

// OnChange calls f, in a goroutine of its own, each time the addresses of the
// machine have changed: a cable was plugged in, another wireless network was
// joined. The node closes connections that the change broke within some seconds.
// The returned stop ends the calls. It does not wait for a call that runs.
//
// A node that listens on loopback only never calls f.
func (n *Node) OnChange(f func()) (stop func()) {
	n.addrs.mu.Lock()
	defer n.addrs.mu.Unlock()
	n.addrs.calls = append(n.addrs.calls, &f)
	return func() {
		n.addrs.mu.Lock()
		defer n.addrs.mu.Unlock()
		n.addrs.calls = slices.DeleteFunc(n.addrs.calls, func(x *func()) bool { return x == &f })
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

// watchAddrs reads the machine's addresses until the node closes.
func (n *Node) watchAddrs() {
	ticker := time.NewTicker(addrPollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.ctx.Done():
			return
		}
		now := machineAddrs()
		n.addrs.mu.Lock()
		before := n.addrs.addrs
		n.addrs.addrs = now
		calls := slices.Clone(n.addrs.calls)
		n.addrs.mu.Unlock()
		if slices.Equal(before, now) {
			continue
		}
		n.log.Info("addresses of this machine changed", "before", before, "now", now)
		n.noteNewAddrs(now, before)
		if n.ports != nil && !slices.Equal(slices.DeleteFunc(slices.Clone(before), isIPv6), slices.DeleteFunc(slices.Clone(now), isIPv6)) {
			n.ports.again()
		}
		n.punchTimes.reset()
		n.losses.addrsChanged()
		for _, f := range calls {
			n.work.Go(*f)
		}
		n.work.Go(func() {
			n.probeAll()
			n.redial()
		})
		n.redial()
	}
}

// listenAddrs returns the addresses at which nw listens if the machine has these
// IP addresses.
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

// noteNewAddrs computes the listen addresses that came with a change. libp2p itself
// uses the old ones for a minute.
func (n *Node) noteNewAddrs(now, before []string) {
	came := slices.DeleteFunc(slices.Clone(now), func(ip string) bool { return slices.Contains(before, ip) })
	fresh := listenAddrs(n.host.Network(), came)
	n.addrs.mu.Lock()
	defer n.addrs.mu.Unlock()
	n.addrs.newAddrs = fresh
}

// advertised adds the new listen addresses to the addresses that libp2p advertises.
func (c *addrMonitor) advertised(addrs []ma.Multiaddr) []ma.Multiaddr {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.newAddrs {
		if !slices.ContainsFunc(addrs, a.Equal) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
