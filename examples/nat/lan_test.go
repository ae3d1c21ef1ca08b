//go:build linux

package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// lan is a world of one LAN with four hosts and no way out.
func lan(t *testing.T) (w *world, hosts [4]*lab.Host) {
	l := must[*lab.Lab](t)(lab.New())
	t.Cleanup(func() { l.Close() })
	s := must[*lab.Segment](t)(l.Segment("lan"))
	for i, name := range []string{"ann", "ben", "cat", "dan"} {
		hosts[i] = must[*lab.Host](t)(l.Host(name, s, "192.168.7."+string(rune('1'+i))+"/24"))
	}
	if err := l.Sealed(); err != nil {
		t.Fatal(err)
	}
	return &world{T: t, lab: l, dir: t.TempDir()}, hosts
}

func direct(p *lab.Path) bool { return !p.Relayed }

// Peers on one LAN find each other with no address at all.
func TestLAN(t *testing.T) {
	t.Parallel()
	w, hosts := lan(t)
	ann, ben := w.peer(hosts[0], "--name", "ann"), w.peer(hosts[1], "--name", "ben")
	off := w.peer(hosts[2], "--no-lan")
	start := time.Now()
	must[*lab.Path](t)(ann.AwaitPath(within(t, 30*time.Second), ben, direct))
	t.Logf("found after %v", time.Since(start))
	w.talk(ann, ben, "greetings", "hello")
	for from, to := range map[*lab.Peer]*lab.Peer{ann: ben, ben: ann} {
		if id, err := from.Dspeer(within(t, time.Minute), "lookup", to.Host.Name); strings.TrimSpace(id) != to.ID {
			t.Errorf("%s is %s, %v, want %s", to.Host.Name, id, err, to.ID)
		}
	}
	if path, err := ann.PathTo(within(t, time.Minute), off); path != nil || err != nil {
		t.Errorf("found with --no-lan: %+v, %v", path, err)
	}
	// They find each other again at another address.
	if err := hosts[1].Renumber("192.168.7.99/24"); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	must[*lab.Path](t)(ann.AwaitPath(within(t, 60*time.Second), ben, func(p *lab.Path) bool {
		return p.RoundTrip > 0
	}))
	w.talk(ben, ann, "greetings", "hello again")
	t.Logf("found again %v after the change", time.Since(start))
}

// Two peers on a LAN lose the world outside, by which they were told that nobody
// can dial them: they go on with each other, and find what is new.
func TestLANWithoutTheWorld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Cone, lab.Cone)
	relay := w.peer(w.hostR1, "--relay", "--no-lan")
	addr := must[string](t)(relay.Addr(within(t, time.Minute), "/udp/"))
	a := w.peer(w.hostA, "--bootstrap", addr)
	b := w.peer(must[*lab.Host](t)(w.lab.Host("a2", w.lanA, w.plan.inside(1, 3))), "--bootstrap", addr)
	for _, p := range []*lab.Peer{a, b} {
		w.check(p.AwaitLog(within(t, time.Minute), "behind a NAT or firewall, relayed by "+relay.ID))
	}
	must[*lab.Path](t)(a.AwaitPath(within(t, 30*time.Second), b, direct))
	w.talk(a, b, "greetings", "hello")
	relay.Kill()
	start := time.Now()
	w.talk(b, a, "news", "nobody else is there")
	t.Logf("another channel was found after %v", time.Since(start))
}

// Two networks with different keys on one LAN, and an open one, never meet.
func TestKeysOnOneLAN(t *testing.T) {
	t.Parallel()
	for transport, tr := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w, hosts := lan(t)
			keys := [2]string{w.key("key1"), w.key("key2")}
			ann := w.peer(hosts[0], "--listen", tr.listen, "--network-key", keys[0])
			ben := w.peer(hosts[1], "--listen", tr.listen, "--network-key", keys[0])
			cat := w.peer(hosts[2], "--listen", tr.listen, "--network-key", keys[1])
			dan := w.peer(hosts[3], "--listen", tr.listen)
			must[*lab.Path](t)(ann.AwaitPath(within(t, 30*time.Second), ben, direct))
			w.talk(ann, ben, "greetings", "hello")
			addr := must[string](t)(ann.Addr(within(t, time.Minute), tr.part))
			if out, err := cat.Dspeer(within(t, time.Minute), "connect", addr); err == nil {
				t.Errorf("another key comes in: %s", out)
			}
			dan.Dspeer(within(t, time.Minute), "connect", addr) // it is sent away
			for _, p := range []*lab.Peer{ann, ben} {
				for _, stranger := range []*lab.Peer{cat, dan} {
					if path, err := p.PathTo(within(t, time.Minute), stranger); path != nil || err != nil {
						t.Errorf("%s sees %s: %+v, %v", p.Host.Name, stranger.Host.Name, path, err)
					}
				}
			}
		})
	}
}

// A private network through NATs and a relay: its members are served, who has
// no key is not.
func TestKeyOverRelay(t *testing.T) {
	t.Parallel()
	for transport, tr := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Symmetric, lab.Cone)
			key := w.key("key")
			args := []string{"--listen", tr.listen, "--network-key", key}
			relay := w.peer(w.hostR1, append(args, "--relay")...)
			addr := must[string](t)(relay.Addr(within(t, time.Minute), tr.part))
			a := w.peer(w.hostA, append(args, "--bootstrap", addr)...)
			b := w.peer(w.hostB, append(args, "--bootstrap", addr)...)
			w.talk(a, b, "greetings", "hello")
			stranger := w.peer(w.hostR2, "--listen", tr.listen)
			stranger.Dspeer(within(t, time.Minute), "connect", addr)
			for _, p := range []*lab.Peer{relay, a, b} {
				if path, err := p.PathTo(within(t, time.Minute), stranger); path != nil || err != nil {
					t.Errorf("%s sees a stranger: %+v, %v", p.Host.Name, path, err)
				}
			}
		})
	}
}
