//go:build linux

package lab

import (
	"errors"
	"fmt"
)

// A Kind is a kind of NAT. IPv6 is not translated: its addresses are those of
// the hosts, and the router is a firewall, which drops what nobody inside asked for.
type Kind string

const (
	// Cone keeps one public port for each port inside, whatever the
	// destination, and drops what nobody inside asked for: most home routers.
	Cone Kind = "cone"
	// Symmetric takes a new port, at random, for each destination: mobile
	// networks, some offices. No hole can be punched through two of them, nor
	// through one where the other side's filter looks at ports.
	Symmetric Kind = "symmetric"
	// Open is a symmetric NAT, and no firewall: IPv6 is let through.
	Open Kind = "open"
)

// rules are those of a NAT, for nft.
const rules = `
table ip lab {
	chain translate {
		type nat hook postrouting priority srcnat
		oifname "wan" masquerade %s
	}
}
table inet lab {
	chain through {
		type filter hook forward priority filter; policy drop
		iifname "lan" accept
		ct state established,related accept
		ct status dnat accept
		%s
	}
	chain inwards {
		type filter hook input priority filter; policy drop
		iifname != "wan" accept
		ct state established,related accept
		meta l4proto ipv6-icmp accept
	}
}
`

// Site makes a LAN behind a router, whose outer addresses, on the public segment,
// are outer, and whose inner are inner, both as in [Lab.Host]. A router's host is
// named after the LAN.
func (l *Lab) Site(name string, kind Kind, public *Segment, outer, inner string) (lan *Segment, router *Host, err error) {
	if lan, err = l.Segment(name + "-lan"); err != nil {
		return nil, nil, err
	}
	if router, err = l.host(name + "-nat"); err != nil {
		return nil, nil, err
	}
	if router.wire, err = router.plug("wan", public, outer); err != nil {
		return nil, nil, err
	}
	inside, err := router.plug("lan", lan, inner)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range inside.addrs {
		lan.gates = append(lan.gates, p.Addr())
	}
	ports, open := "", ""
	if kind != Cone {
		ports = "random"
	}
	if kind == Open {
		open = "meta nfproto ipv6 accept"
	}
	return lan, router, errors.Join(
		router.set("net/ipv4/ip_forward", "1"),
		router.set("net/ipv6/conf/all/forwarding", "1"),
		public.announce(router.wire, inside),
		feed(fmt.Sprintf(rules, ports, open), "ip", "netns", "exec", router.space, "nft", "-f", "-"),
	)
}

// announce tells the hosts on the segment, those to come as well, the way to a
// LAN with addresses of IPv6.
func (s *Segment) announce(outer, inside *wire) error {
	for _, via := range outer.addrs {
		for _, p := range inside.addrs {
			if via.Addr().Is4() || p.Addr().Is4() {
				continue
			}
			to := way{p.Masked(), via.Addr()}
			s.ways = append(s.ways, to)
			for _, w := range s.wires {
				if err := w.lead(to.net.String(), to.via); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
