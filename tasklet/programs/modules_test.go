package programs_test

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// modules are the folders with programs around well-known modules, and how many
// rounds they do: in short, if at all, and with -long. A round takes some
// hundredths of a second.
var modules = []struct {
	name         string
	short, whole int
}{
	{"interpreter", 0, 150}, // github.com/dop251/goja
	{"store", 10, 200},      // github.com/tidwall/buntdb
	{"matcher", 0, 200},     // github.com/dlclark/regexp2
	{"compressor", 0, 100},  // github.com/andybalholm/brotli
	{"life", 20, 400},       // github.com/yuin/gopher-lua
}

// Programs around well-known modules print the same when they are moved all
// the time, from peer to peer, and from sandbox to sandbox, which takes less and
// is done more often.
func TestModules(t *testing.T) {
	rnd := random(t)
	total := 0
	for _, m := range modules {
		rounds := m.short
		if *long {
			rounds = m.whole
		}
		if rounds == 0 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
			defer cancel()
			peers := startPeers(t, 3)
			wasm := build(t, "build", "./"+m.name)
			warm(ctx, t, peers, wasm, "0")
			code := compile(t, wasm)
			undisturbed := alone(ctx, t, code, strconv.Itoa(rounds))
			if undisturbed.status != 0 || undisturbed.err != nil || undisturbed.output == "" {
				t.Fatalf("left alone: %v", undisturbed)
			}
			carried, captures := carry(ctx, t, rnd, time.Millisecond, code, strconv.Itoa(rounds))
			if !carried.same(undisturbed) {
				t.Errorf("after %d captures: %v\nwant %v", captures, carried, undisturbed)
			}
			moved, moves := wander(ctx, t, rnd, 4*time.Millisecond, peers, wasm, strconv.Itoa(rounds))
			if !moved.same(undisturbed) {
				t.Errorf("after %d moves: %v\nwant %v", moves, moved, undisturbed)
			}
			if moves == 0 || captures == 0 {
				t.Error("it was not moved")
			}
			total += moves
			t.Logf("%d moves in %v, %d captures in %v; left alone it takes %v", moves, moved.took, captures, carried.took, undisturbed.took)
		})
	}
	t.Logf("%d moves in all", total)
}
