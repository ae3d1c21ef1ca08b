//go:build linux

package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// The relay is killed and started again: whom it served is reached through it
// once more.
func TestRelayRestarts(t *testing.T) {
	t.Parallel()
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Symmetric, lab.Symmetric)
			relay, a, b := w.join(transport)
			w.talk(a, b, "greetings", "hello")
			relay.Kill()
			start := time.Now()
			if err := relay.Start(within(t, 30*time.Second)); err != nil {
				t.Fatal(err)
			}
			w.talk(a, b, "greetings", "hello again")
			t.Logf("the channel goes on %v after the restart", time.Since(start))
			w.talk(b, a, "news", "another channel")
		})
	}
}

// The peer through which the others joined leaves for good: they go on, and
// find each other through the second relay, which they learned of meanwhile.
func TestBootstrapLeaves(t *testing.T) {
	t.Parallel()
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Symmetric, lab.Cone)
			first, a, b := w.join(transport)
			tr := transports[transport]
			addr := must[string](t)(first.Addr(within(t, time.Minute), tr.part))
			second := w.peer(w.hostR2, "--relay", "--listen", tr.listen, "--bootstrap", addr)
			for _, p := range []*lab.Peer{a, b} {
				if err := p.AwaitLog(within(t, 90*time.Second), second.ID); err != nil {
					t.Fatal(err)
				}
			}
			w.talk(a, b, "greetings", "hello")
			first.Kill()
			start := time.Now()
			w.talk(a, b, "greetings", "hello again")
			t.Logf("the channel goes on after %v", time.Since(start))
			w.talk(b, a, "news", "another channel")
			t.Logf("another one was found after %v", time.Since(start))
		})
	}
}

// A peer gets another address in the middle of a channel: nothing is lost, and
// nothing comes twice.
func TestChannelWhileTheAddressChanges(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"quic", "tcp"} {
		for _, kind := range []lab.Kind{lab.Cone, lab.Symmetric} {
			for _, who := range []string{"sender", "receiver"} {
				chosen := transport == "quic" && kind == lab.Symmetric && who == "sender" ||
					transport == "tcp" && kind == lab.Cone && who == "receiver"
				if !chosen && !*long {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", transport, kind, who), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, kind, kind)
					_, a, b := w.join(transport)
					w.talk(a, b, "greetings", "hello")
					const values = 400
					var input strings.Builder
					for i := range values {
						fmt.Fprintln(&input, i)
					}
					ctx := within(t, 3*time.Minute)
					sent := make(chan error, 1)
					go func() {
						_, err := a.Feed(ctx, input.String(), "send", "numbers")
						sent <- err
					}()
					got := must[string](t)(b.Dspeer(ctx, "recv", "-n", "100", "numbers"))
					h, addr := w.hostA, "192.168.1.77/24"
					if who == "receiver" {
						h, addr = w.hostB, "192.168.2.77/24"
					}
					start := time.Now()
					if err := h.Renumber(addr); err != nil {
						t.Fatal(err)
					}
					got += must[string](t)(b.Dspeer(ctx, "recv", "-n", "300", "numbers"))
					t.Logf("all came %v after the change", time.Since(start))
					if got != input.String() {
						t.Errorf("received %d bytes, sent %d", len(got), input.Len())
					}
					if err := <-sent; err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}
