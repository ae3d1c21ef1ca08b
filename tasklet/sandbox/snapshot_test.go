package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A snapshot that was brought up to date while its guest ran, and then once
// more, is the guest's memory; and what it told of is all that had changed.
func TestSnapshot(t *testing.T) {
	for _, kind := range append(slices.Collect(maps.Keys(sandbox.Shadows)), "plain") {
		for _, args := range [][]string{{"busy", "calls", "300000"}, {"sleep", "1h"}, {"busy", "loop"}} {
			t.Run(kind+"/"+args[0]+"-"+args[1], func(t *testing.T) {
				var out output
				cfg := sandbox.Config{Args: args, Output: out.write}
				var i *sandbox.Instance
				if kind == "plain" {
					i = run(t, guest(t, args[0]).Plain(), cfg)
				} else if i = start(t, args[0], cfg); i.SetShadow(kind) != nil {
					t.Fatal("the system does not help")
				}
				s, err := i.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				mirror := map[uint32][]byte{}
				update := func() (n int) {
					told := map[uint32]bool{}
					err := s.Update(within(t), func(pages []uint32) error {
						if !slices.IsSorted(pages) {
							t.Error("pages are out of order")
						}
						for _, n := range pages {
							if told[n] {
								t.Errorf("page %d is told of twice", n)
							}
							told[n], mirror[n] = true, s.AppendPage(nil, n)
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					return len(told)
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
				memory[8<<10]++ // as a restored one would
				if n := update(); n != 1 {
					t.Errorf("%d pages have changed, not 1", n)
				}
				memory[8<<10]--
				update()
				if s.Size() != uint64(len(memory)) {
					t.Errorf("size %d, want %d", s.Size(), len(memory))
				}
				image := guest(t, args[0]).Image()
				for at := 0; at < len(memory); at += sandbox.SnapshotPage {
					n, want := uint32(at/sandbox.SnapshotPage), memory[at:at+sandbox.SnapshotPage]
					if !s.Equal(n, want) {
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
	early, err := update(ctx, s) // the guest may have been faster
	if err != nil && !errors.Is(err, sandbox.ErrBusy) {
		t.Errorf("update: %v", err)
	}
	if changed, err := update(within(t), s); err != nil || len(early)+len(changed) == 0 {
		t.Errorf("%d pages, %v", len(changed), err)
	}
	i.Close()
	if _, err := update(within(t), s); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("update of a closed instance: %v", err)
	}
	if _, err := i.Snapshot(); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("snapshot of a closed instance: %v", err)
	}
}

// update is Update, which tells of all at once.
func update(ctx context.Context, s *sandbox.Snapshot) (changed []uint32, err error) {
	err = s.Update(ctx, func(pages []uint32) error {
		changed = append(changed, pages...)
		return nil
	})
	return changed, err
}
