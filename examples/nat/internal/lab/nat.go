//go:build linux

package lab

import (
	"errors"
	"fmt"
)

// A Kind is a kind of NAT.
type Kind string

const (
	// Cone keeps one public port for each port inside, whatever the
	// destination, and drops what nobody inside asked for: most home routers.
	Cone Kind = "cone"
	// Symmetric takes a new port, at random, for each destination: mobile
	// networks, some offices. No hole can be punched through two of them, nor
	// through one where the other side's filter looks at ports.
	Symmetric Kind = "symmetric"
)

// rules are those of a NAT, for nft.
const rules = `
table ip lab {
	chain translate {
		type nat hook postrouting priority srcnat
		oifname "wan" masquerade %s
	}
	chain through {
		type filter hook forward priority filter; policy drop
		iifname "lan" accept
		ct state established,related accept
	}
	chain inwards {
		type filter hook input priority filter; policy drop
		iifname != "wan" accept
		ct state established,related accept
	}
}
`

// Site makes a LAN behind a NAT, whose outer address, on the public segment, is
// outer, and whose inner is inner. A NAT's host is named after the LAN.
func (l *Lab) Site(name string, kind Kind, public *Segment, outer, inner string) (lan *Segment, nat *Host, err error) {
	if lan, err = l.Segment(name + "-lan"); err != nil {
		return nil, nil, err
	}
	if nat, err = l.host(name + "-nat"); err != nil {
		return nil, nil, err
	}
	if nat.wire, err = nat.plug("wan", public, outer); err != nil {
		return nil, nil, err
	}
	inside, err := nat.plug("lan", lan, inner)
	if err != nil {
		return nil, nil, err
	}
	lan.gate = inside.addr.Addr()
	ports := ""
	if kind == Symmetric {
		ports = "random"
	}
	return lan, nat, errors.Join(
		run("ip", "netns", "exec", nat.space, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
		feed(fmt.Sprintf(rules, ports), "ip", "netns", "exec", nat.space, "nft", "-f", "-"),
	)
}
