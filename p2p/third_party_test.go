package p2p_test

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/p2p"
)

// Of the addresses that third parties tell of, those that mean services of this
// machine or its network are not taken.
func TestFilterAddrs(t *testing.T) {
	const relayed = "/tcp/4001/p2p/" + stranger + "/p2p-circuit"
	loopback := []string{"/ip4/127.0.0.1/tcp/22", "/ip4/127.1.2.3/udp/1/quic-v1", "/ip6/::1/tcp/22", "/ip4/127.0.0.1" + relayed}
	never := []string{
		"/ip4/0.0.0.0/tcp/22", "/ip6/::/tcp/22", "/ip4/169.254.169.254/tcp/80", "/ip6zone/lo/ip6/fe80::1/tcp/22", "/ip4/224.0.0.1/udp/1/quic-v1",
		"/dns4/localhost/tcp/22", "/dns/router.example/tcp/80", "/dnsaddr/router.example", "/dns4/localhost" + relayed,
	}
	always := []string{"/ip4/93.184.215.14/tcp/1", "/ip6/2606:4700::1/udp/1/quic-v1", "/ip4/93.184.215.14" + relayed, "/p2p/" + stranger + "/p2p-circuit"}
	for _, c := range []struct {
		listen   string
		loopback bool
	}{{"/ip4/127.0.0.1/tcp/0", true}, {"/ip4/0.0.0.0/tcp/0", false}} {
		n, err := p2p.Start(&p2p.Options{Listen: []string{c.listen}, NoLAN: true, NoPortMapping: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		check := func(want bool, some []string) {
			for _, text := range some {
				a, err := ma.NewMultiaddr(text)
				if err != nil {
					t.Fatal(err)
				}
				if got := len(n.FilterAddrs([]ma.Multiaddr{a})) == 1; got != want {
					t.Errorf("listening at %s: %s is taken: %v", c.listen, text, got)
				}
			}
		}
		check(true, always)
		check(false, never)
		if here, err := n.Host().Network().InterfaceListenAddresses(); err == nil && (c.loopback || len(here) > 1) {
			check(c.loopback, loopback)
		}
	}
}
