//go:build linux

package main_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

// carrier starts a tasklet that carries so many bytes, waits until it does, and
// returns its ID and what it says it carries.
func (w *world) carrier(p *lab.Peer, bytes int) (id, sum string) {
	w.Helper()
	ctx := within(w, 2*time.Minute)
	out := must[string](w)(p.Dspeer(ctx, "spawn", filepath.Join(built(), "program.wasm"), fmt.Sprint(bytes)))
	id = strings.TrimSpace(out)
	for {
		out := must[string](w)(p.Dspeer(ctx, "logs", id))
		if _, rest, ok := strings.Cut(out, "SHA-256 "); ok && strings.Contains(rest, "\n") {
			sum, _, _ = strings.Cut(rest, "\n")
			return id, sum
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			w.Fatal(ctx.Err())
		}
	}
}

// goesOn waits until a tasklet, wherever it is, has counted on from here, and
// checks that it still carries what it did.
func (w *world) goesOn(origin *lab.Peer, id, sum string) {
	w.Helper()
	ctx := within(w, time.Minute)
	before := must[string](w)(origin.Dspeer(ctx, "logs", id))
	for {
		out := must[string](w)(origin.Dspeer(ctx, "logs", id))
		if news := strings.TrimPrefix(out, before); strings.Count(news, "count") >= 2 {
			if strings.Count(out, "still "+sum) != strings.Count(out, "count") {
				w.Errorf("it lost what it carried: %s", out)
			}
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			w.Fatalf("it does not go on: %s", out)
		}
	}
}

// 64 MB cross a relay that cuts after 128 KiB, and so on hundreds of connections.
func TestMoveOverRelay(t *testing.T) {
	t.Parallel()
	for transport, size := range map[string]int{"quic": 64_000_000, "tcp": 16_000_000} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Symmetric, lab.Symmetric)
			_, a, b := w.join(transport)
			w.talk(a, b, "greetings", "hello")
			id, sum := w.carrier(a, size)
			start := time.Now()
			out, err := a.Dspeer(within(t, 9*time.Minute), "move", id, b.ID)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s in %v", strings.TrimSpace(out), time.Since(start).Round(time.Millisecond))
			if path := must[*lab.Path](t)(a.PathTo(within(t, time.Minute), b)); path != nil && !path.Relayed {
				t.Errorf("it was not relayed: %+v", path)
			}
			w.goesOn(a, id, sum)
			w.talk(a, b, "greetings", "hello again")
		})
	}
}

// A peer gets another address in the middle of a move.
func TestMoveWhileTheAddressChanges(t *testing.T) {
	t.Parallel()
	for _, kind := range []lab.Kind{lab.Cone, lab.Symmetric} {
		for _, who := range []string{"source", "destination"} {
			if chosen := kind == lab.Symmetric && who == "destination"; !chosen && !*long {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", kind, who), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, kind, kind)
				_, a, b := w.join("quic")
				w.talk(a, b, "greetings", "hello")
				if kind == lab.Cone {
					must[*lab.Path](t)(a.AwaitPath(within(t, 150*time.Second), b, func(p *lab.Path) bool { return !p.Relayed }))
				}
				size := 100_000_000
				if kind == lab.Symmetric { // a relay is slower
					size = 16_000_000
				}
				id, sum := w.carrier(a, size)
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
				defer cancel()
				moved := make(chan error, 1)
				go func() {
					out, err := a.Dspeer(ctx, "move", id, b.ID)
					t.Logf("%s", strings.TrimSpace(out))
					moved <- err
				}()
				select {
				case err := <-moved:
					t.Fatalf("the move was too fast for this test: %v", err)
				case <-time.After(300 * time.Millisecond):
				}
				h, addr := w.hostA, "192.168.1.77/24"
				if who == "destination" {
					h, addr = w.hostB, "192.168.2.77/24"
				}
				start := time.Now()
				if err := h.Renumber(addr); err != nil {
					t.Fatal(err)
				}
				if err := <-moved; err != nil {
					t.Fatal(err)
				}
				t.Logf("moved %v after the change", time.Since(start))
				w.goesOn(a, id, sum)
			})
		}
	}
}
