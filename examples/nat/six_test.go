//go:build linux

package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// alone is a world without IPv4.
var alone = plan{six: true}

var transports6 = map[string]struct{ part, listen string }{
	"quic": {"/udp/", "/ip6/::/udp/4001/quic-v1"},
	"tcp":  {"/tcp/", "/ip6/::/tcp/4001"},
}

// Where there is only IPv6, a peer behind a firewall is reached through a relay,
// and then through a hole; one without is dialed.
func TestIPv6(t *testing.T) {
	t.Parallel()
	for transport, tr := range transports6 {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := alone.world(t, lab.Cone, lab.Open)
			open := must[*lab.Host](t)(w.lab.Host("open", w.lanB, w.plan.inside(2, 3)))
			shutLAN, _, err := w.lab.Site("c", lab.Cone, w.public, w.plan.outside(143), w.plan.inside(3, 1))
			w.check(err)
			shut := must[*lab.Host](t)(w.lab.Host("c", shutLAN, w.plan.inside(3, 2)))
			args := []string{"--listen", tr.listen}
			for _, h := range []*lab.Host{w.hostR1, w.hostR2} {
				relay := w.peer(h, "--relay", "--listen", tr.listen)
				args = append(args, "--bootstrap", must[string](t)(relay.Addr(within(t, time.Minute), "/ip6/"+h.Addrs()[0].String()+tr.part)))
			}
			a, b, c := w.peer(w.hostA, args...), w.peer(open, args...), w.peer(shut, args...)
			start := time.Now()
			w.talk(a, c, "greetings", "hello")
			t.Logf("first value after %v", time.Since(start))
			path := must[*lab.Path](t)(a.AwaitPath(within(t, 30*time.Second), c, direct))
			t.Logf("direct after %v: %+v", time.Since(start), *path)
			if path.Transport != transport || !strings.HasPrefix(path.Addr, "/ip6/3fff:3::2/") {
				t.Errorf("%+v", path)
			}
			for _, p := range []*lab.Peer{a, c} {
				w.check(p.AwaitLog(within(t, 30*time.Second), "not known yet: nobody outside has tried; relayed by "))
				w.check(p.AwaitLog(within(t, 30*time.Second), "behind a NAT or firewall, relayed by "))
			}
			w.check(b.AwaitLog(within(t, 30*time.Second), "public: others dial it over IPv6"))
			t.Logf("public after %v", time.Since(start))
			addr := must[string](t)(b.Addr(within(t, time.Minute), tr.part))
			must[string](t)(a.Dspeer(within(t, time.Minute), "connect", addr))
			w.talk(b, a, "news", "hello")
			if path := must[*lab.Path](t)(a.PathTo(within(t, time.Minute), b)); path == nil || path.Relayed {
				t.Errorf("%+v", path)
			}
			// As systems do for privacy, again and again.
			w.check(w.hostA.Renumber("3fff:1::abcd/64"))
			start = time.Now()
			for i := range 3 {
				w.talk(a, c, "greetings", fmt.Sprint("from elsewhere ", i))
				w.talk(c, a, "news", fmt.Sprint("from elsewhere ", i))
			}
			t.Logf("all came %v after the change", time.Since(start))
		})
	}
}

// Peers that have IPv4, IPv6 or both are one network, as long as one that all can
// dial has both.
func TestBothProtocols(t *testing.T) {
	t.Parallel()
	both := plan{four: nowhere.four, six: true}
	w := both.world(t, lab.Open, lab.Cone)
	four := must[*lab.Host](t)(w.lab.Host("four", w.lanB, nowhere.inside(2, 3)))
	six := must[*lab.Host](t)(w.lab.Host("six", w.lanB, alone.inside(2, 4)))
	var args4, args6 []string
	for _, h := range []*lab.Host{w.hostR1, w.hostR2} {
		relay := w.peer(h, "--relay", "--no-lan")
		args4 = append(args4, "--bootstrap", must[string](t)(relay.Addr(within(t, time.Minute), "/ip4/"+h.Addrs()[0].String()+"/udp/")))
		args6 = append(args6, "--bootstrap", must[string](t)(relay.Addr(within(t, time.Minute), "/ip6/"+h.Addrs()[1].String()+"/udp/")))
	}
	a := w.peer(w.hostA, slices.Concat(args4, args6, []string{
		"--listen", "/ip4/0.0.0.0/udp/4001/quic-v1", "--listen", "/ip6/::/udp/4001/quic-v1",
	})...)
	b := w.peer(four, append(args4, "--no-lan")...)
	c := w.peer(six, append(args6, "--no-lan")...)
	w.check(a.AwaitLog(within(t, 30*time.Second), "public: others dial it over IPv6; relayed by "))
	for i, pair := range [][2]*lab.Peer{{b, c}, {a, b}, {a, c}} {
		start := time.Now()
		w.talk(pair[0], pair[1], fmt.Sprint("channel ", i), "hello")
		w.talk(pair[1], pair[0], fmt.Sprint("other channel ", i), "hello")
		t.Logf("%s and %s: %v", pair[0].Host.Name, pair[1].Host.Name, time.Since(start))
	}
	if path := must[*lab.Path](t)(c.PathTo(within(t, time.Minute), a)); path == nil || path.Relayed {
		t.Errorf("from IPv6 to both: %+v", path)
	}
	if path := must[*lab.Path](t)(b.PathTo(within(t, time.Minute), c)); path == nil || !path.Relayed {
		t.Errorf("from IPv4 to IPv6: %+v", path)
	}
}
