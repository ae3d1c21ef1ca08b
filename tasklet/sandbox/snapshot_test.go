package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A snapshot that was brought up to date while its guest ran, and then once
// more, is the guest's memory; and what it told of is all that had changed.
func TestSnapshot(t *testing.T) {
	for _, kind := range []string{"shared", "copied"} {
		for _, args := range [][]string{{"busy", "calls", "300000"}, {"sleep", "1h"}, {"busy", "loop"}} {
			t.Run(kind+"/"+args[0]+"-"+args[1], func(t *testing.T) {
				var out output
				i := start(t, args[0], sandbox.Config{Args: args, Output: out.write})
				if kind == "copied" {
					i.CopySnapshot()
				}
				s, err := i.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				mirror := map[uint32][]byte{}
				update := func() (n int) {
					changed, err := s.Update(within(t))
					if err != nil {
						t.Fatal(err)
					}
					if !slices.IsSorted(changed) {
						t.Error("pages are out of order")
					}
					for _, n := range changed {
						mirror[n] = bytes.Clone(s.Page(n))
					}
					return len(changed)
				}
				out.until(t, "s")
				for range 10 {
					update()
				}
				if err := i.Pause(within(t)); err != nil {
					t.Fatal(err)
				}
				update()
				if n := update(); n != 0 {
					t.Errorf("%d pages of a guest that stands still have changed", n)
				}
				memory := i.Memory()
				if s.Size() != uint64(len(memory)) {
					t.Errorf("size %d, want %d", s.Size(), len(memory))
				}
				image := guest(t, args[0]).Program().Image()
				for at := 0; at < len(memory); at += sandbox.SnapshotPage {
					n, want := uint32(at/sandbox.SnapshotPage), memory[at:at+sandbox.SnapshotPage]
					if !bytes.Equal(s.Page(n), want) {
						t.Fatalf("page %d is not as in memory", n)
					}
					told := mirror[n]
					if told == nil {
						told = make([]byte, sandbox.SnapshotPage)
						if at < len(image) {
							told = image[at : at+sandbox.SnapshotPage]
						}
					}
					if !bytes.Equal(told, want) {
						t.Fatalf("page %d changed, and was not told of", n)
					}
				}
				memory[8<<10]++ // as a restored one would
				if n := update(); n != 1 {
					t.Errorf("%d pages have changed, not 1", n)
				}
				memory[8<<10]--
				if err := i.Continue(); err != nil {
					t.Fatal(err)
				}
				if err := i.AtSafePoint(within(t), func([]byte) {}); err != nil && !errors.Is(err, sandbox.ErrExited) {
					t.Error(err)
				}
			})
		}
	}
}

// An update that is given up loses nothing.
func TestSnapshotGivenUp(t *testing.T) {
	i := start(t, "busy", sandbox.Config{Args: []string{"busy", "loop"}})
	s, err := i.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	early, err := s.Update(ctx) // the guest may have been faster
	if err != nil && !errors.Is(err, sandbox.ErrBusy) {
		t.Errorf("update: %v", err)
	}
	if changed, err := s.Update(within(t)); err != nil || len(early)+len(changed) == 0 {
		t.Errorf("%d pages, %v", len(changed), err)
	}
	i.Close()
	if _, err := s.Update(within(t)); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("update of a closed instance: %v", err)
	}
	if _, err := i.Snapshot(); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("snapshot of a closed instance: %v", err)
	}
}
