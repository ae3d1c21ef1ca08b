//go:build linux

package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

var transports = map[string]struct{ part, listen string }{
	"quic": {"/udp/", "/ip4/0.0.0.0/udp/4001/quic-v1"},
	"tcp":  {"/tcp/", "/ip4/0.0.0.0/tcp/4001"},
}

// join starts the first relay and a peer on either site that joins through it.
func (w *world) join(transport string, relayArgs ...string) (relay, a, b *lab.Peer) {
	w.Helper()
	tr := transports[transport]
	relay = w.peer(w.hostR1, append([]string{"--relay", "--listen", tr.listen}, relayArgs...)...)
	addr := must[string](w)(relay.Addr(within(w, time.Minute), tr.part))
	a = w.peer(w.hostA, "--listen", tr.listen, "--bootstrap", addr, "--accept", "any")
	b = w.peer(w.hostB, "--listen", tr.listen, "--bootstrap", addr, "--accept", "any")
	return relay, a, b
}

// talk sends a value from one peer to another, which find each other by the
// channel's name.
func (w *world) talk(from, to *lab.Peer, channel, value string) {
	w.Helper()
	ctx := within(w, time.Minute)
	sent := make(chan error, 1)
	go func() {
		_, err := from.Dspeer(ctx, "send", channel, value)
		sent <- err
	}()
	got, err := to.Dspeer(ctx, "recv", "-n", "1", channel)
	if err != nil || got != value+"\n" {
		w.Fatalf("received %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		w.Fatal(err)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for transport := range transports {
		for _, c := range []struct {
			a, b   lab.Kind
			direct bool
		}{
			{lab.Cone, lab.Cone, true},
			{lab.Symmetric, lab.Cone, false},
			{lab.Cone, lab.Symmetric, false},
			{lab.Symmetric, lab.Symmetric, false},
		} {
			t.Run(fmt.Sprintf("%s/%s-%s", transport, c.a, c.b), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, c.a, c.b)
				relay, a, b := w.join(transport)
				start := time.Now()
				w.talk(a, b, "greetings", "hello")
				t.Logf("first value after %v", time.Since(start))
				if c.direct {
					path := must[*lab.Path](t)(a.AwaitPath(within(t, 15*time.Second), b, func(p *lab.Path) bool { return !p.Relayed }))
					t.Logf("direct after %v: %+v", time.Since(start), *path)
					if !path.Punched || path.Transport != transport {
						t.Errorf("%+v", path)
					}
				} else {
					path := must[*lab.Path](t)(a.PathTo(within(t, 30*time.Second), b))
					if path == nil || !path.Relayed || path.Relay != relay.ID {
						t.Errorf("%+v", path)
					}
				}
				for i := range 3 {
					w.talk(b, a, "greetings", fmt.Sprint("again ", i))
				}
				for _, p := range []*lab.Peer{a, b} {
					if err := p.AwaitLog(within(t, 10*time.Second), "behind a NAT or firewall, relayed by "+relay.ID); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}
