//go:build linux

package main_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// anywhere begins addresses that miniupnpd takes for public ones. They exist
// elsewhere, but nothing leaves a lab.
var anywhere = plan{four: "11.0.0."}

// A peer behind a NAT through which no hole can be punched has its router open a
// port. Another that knows nothing but that address gets to it, with no relay
// left in the world.
func TestPortMapping(t *testing.T) {
	t.Parallel()
	for by, transport := range map[lab.Mapping]string{lab.UPnP: "quic", lab.NATPMP: "tcp"} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			tr := transports[transport]
			w := anywhere.world(t, lab.Symmetric, lab.Symmetric)
			w.openPorts(w.natA, by)
			off := must[*lab.Host](t)(w.lab.Host("off", w.lanA, w.plan.inside(1, 3)))
			args := []string{"--listen", tr.listen, "--no-lan"}
			var relays []*lab.Peer
			for _, h := range []*lab.Host{w.hostR1, w.hostR2} { // it takes two to say that a peer can be dialed
				relay := w.peer(h, "--relay", "--listen", tr.listen)
				relays = append(relays, relay)
				args = append(args, "--bootstrap", must[string](t)(relay.Addr(within(t, time.Minute), tr.part)))
			}
			start := time.Now()
			a := w.peer(w.hostA, args...)
			shut := w.peer(off, append(args, "--no-port-mapping")...)
			w.check(a.AwaitLog(within(t, time.Minute), "the router has opened a port"))
			t.Logf("opened after %v", time.Since(start))
			w.check(a.AwaitLog(within(t, time.Minute), "public: others dial it over IPv4, at a port that the router has opened"))
			t.Logf("public after %v", time.Since(start))
			w.check(shut.AwaitLog(within(t, time.Minute), "behind a NAT or firewall, relayed by "))
			if strings.Contains(shut.Log(), "opened") || w.opened(shut, "/ip4/11.0.0.141") != "" {
				t.Errorf("with --no-port-mapping: %s", shut.Log())
			}
			addr := w.opened(a, "/ip4/11.0.0.141"+tr.part)
			if addr == "" {
				t.Fatal("the peer does not tell of the port")
			}
			for _, relay := range relays {
				relay.Kill()
			}
			b := w.peer(w.hostB, "--listen", tr.listen, "--bootstrap", addr)
			w.talk(b, a, "greetings", "hello")
			w.talk(a, b, "greetings", "hello again")
			if path := must[*lab.Path](t)(b.PathTo(within(t, time.Minute), a)); path == nil || path.Relayed || path.Punched || path.Transport != transport {
				t.Errorf("%+v", path)
			}
			a.Stop()
			out, err := w.natA.Command(within(t, time.Minute), "nft", "list", "chain", "inet", "ports", "translated").CombinedOutput()
			if w.check(err); strings.Contains(string(out), "dnat") {
				t.Errorf("the port is still open: %s", out)
			}
		})
	}
}

// A peer that joins another network has the router there open a port.
func TestPortMappingElsewhere(t *testing.T) {
	t.Parallel()
	w := anywhere.world(t, lab.Symmetric, lab.Symmetric)
	w.openPorts(w.natA, lab.UPnP)
	w.openPorts(w.natB, lab.NATPMP)
	a := w.peer(w.hostA, "--no-lan")
	w.check(a.AwaitLog(within(t, time.Minute), "the router has opened a port\" addr=/ip4/11.0.0.141/"))
	w.check(w.hostA.Move(w.lanB, w.plan.inside(2, 3)))
	start := time.Now()
	w.check(a.AwaitLog(within(t, time.Minute), "the router has opened a port\" addr=/ip4/11.0.0.142/"))
	t.Logf("opened %v after the change", time.Since(start))
}

// openPorts has a router open ports.
func (w *world) openPorts(router *lab.Host, by lab.Mapping) {
	w.Helper()
	err := w.lab.OpenPorts(router, w.TempDir(), by)
	if errors.Is(err, lab.ErrNone) && os.Getenv("CI") != "true" {
		w.Skip(err)
	}
	w.check(err)
}

// opened returns the address of a peer that begins so, or nothing.
func (w *world) opened(p *lab.Peer, begin string) string {
	w.Helper()
	for _, a := range strings.Fields(must[string](w)(p.Dspeer(within(w, time.Minute), "addrs"))) {
		if strings.HasPrefix(a, begin) && !strings.Contains(a, "p2p-circuit") {
			return a
		}
	}
	return ""
}
