package p2p

import (
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
)

// localRanges are the ranges of addresses that mean other machines in each network,
// or this machine.
var localRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/128"), // this machine, as 127.0.0.1
	loopback4, loopback6,
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
}

var loopback4, loopback6 = netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")

// FilterAddrs returns those addresses that may be dialed although only a third
// party says that a peer is there. Otherwise anybody could have this machine
// connect to services of its own network, and learn which there are. The address
// of a peer or, of a relayed one, of its relay must be
//
//   - an IP address, no name: a name may lead anywhere,
//   - not in a private or link-local range, unless this machine has an address in
//     that range, and
//   - no loopback address, unless this peer listens at no others.
func (n *Node) FilterAddrs(addrs []ma.Multiaddr) []ma.Multiaddr {
	here := n.rangesHere()
	return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		if first, _ := ma.SplitFirst(a); first != nil && first.Code() == ma.P_P2P {
			return false // a relay, where it is known to be
		}
		ip := ipOf(a)
		if !ip.IsValid() || ip.IsMulticast() {
			return true
		}
		in := rangeOf(ip)
		return in.IsValid() && !here[in]
	})
}

// rangesHere returns the local ranges in which this machine is.
func (n *Node) rangesHere() map[netip.Prefix]bool {
	here := map[netip.Prefix]bool{}
	n.addrs.mu.Lock()
	for _, text := range n.addrs.addrs {
		if ip, err := netip.ParseAddr(text); err == nil {
			here[rangeOf(ip.Unmap())] = true
		}
	}
	n.addrs.mu.Unlock()
	listens, _ := n.host.Network().InterfaceListenAddresses()
	atLoopback, elsewhere := false, false
	for _, a := range listens {
		if ip := ipOf(a); ip.IsValid() { // not so for relayed connections
			here[rangeOf(ip)] = true
			atLoopback, elsewhere = atLoopback || ip.IsLoopback(), elsewhere || !ip.IsLoopback()
		}
	}
	here[loopback4], here[loopback6] = atLoopback && !elsewhere, atLoopback && !elsewhere
	return here
}

// rangeOf returns the local range of an address, or the zero value.
func rangeOf(ip netip.Addr) netip.Prefix {
	for _, r := range localRanges {
		if r.Contains(ip) {
			return r
		}
	}
	return netip.Prefix{}
}
