package content_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// has reports whether a store has a file.
func has(t *testing.T, s *content.Store, c cid.Cid) bool {
	t.Helper()
	ok, err := s.Has(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// With a limit, what others have had fetched goes when there is no room, what was
// not used for longest first; what is in use stays, and what cannot have room is
// not fetched. So it is on disk, also after a restart, and in memory.
func TestLimit(t *testing.T) {
	const limit, each = 8 << 20, 1 << 20
	for _, dir := range []string{"", t.TempDir()} {
		t.Run(fmt.Sprint("on disk ", dir != ""), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			other := start(t, "")
			var inUse atomic.Pointer[[]cid.Cid]
			inUse.Store(&[]cid.Cid{})
			open := func() *member {
				m := startWith(t, &content.Options{Dir: dir, Limit: limit})
				m.SetInUse(func() []cid.Cid { return *inUse.Load() })
				return m
			}
			m := open()
			connect(t, m, other)
			var all []cid.Cid
			for seed := range byte(24) {
				c, err := other.Add(ctx, random(each, seed))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
				if _, err := m.Get(ctx, c, each, other.ID()); err != nil {
					t.Fatal(err)
				}
				if n := m.Bytes(); n > limit {
					t.Fatalf("the store has %d bytes", n)
				}
				if seed == 1 { // this one is always in use, the first never again
					inUse.Store(&[]cid.Cid{c})
				}
			}
			if has(t, m.Store, all[0]) || !has(t, m.Store, all[1]) || !has(t, m.Store, all[23]) {
				t.Error("what is in use was removed, or what is not was kept")
			}
			if got, err := m.Get(ctx, all[1], each); err != nil || len(got) != each {
				t.Errorf("what is in use: %v", err)
			}
			if dir != "" {
				before := m.Bytes()
				m.Close()
				m = open()
				connect(t, m, other)
				if n := m.Bytes(); n != before {
					t.Errorf("%d bytes after a restart, %d before", n, before)
				}
				files, err := os.ReadDir(filepath.Join(dir, "roots"))
				if err != nil || len(files) > 8 {
					t.Errorf("%d files are remembered, %v", len(files), err)
				}
			}
			used := all[16:]
			for _, c := range used {
				if _, err := m.Get(ctx, c, each, other.ID()); err != nil && !errors.Is(err, content.ErrFull) {
					t.Fatal(err)
				}
			}
			inUse.Store(&used)
			c, err := other.Add(ctx, random(3*each, 100))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Get(ctx, c, 3*each, other.ID()); !errors.Is(err, content.ErrFull) {
				t.Errorf("all is in use: %v, want ErrFull", err)
			}
			if n := m.Bytes(); n > limit {
				t.Errorf("the store has %d bytes", n)
			}
			if _, err := m.Add(ctx, random(3*each, 101)); err != nil {
				t.Errorf("one's own: %v", err)
			}
		})
	}
}

// Files that share blocks count once, and lose nothing when the other one goes.
func TestLimitOfVariants(t *testing.T) {
	const limit, size = 10 << 20, 4 << 20
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other, m := start(t, ""), startWith(t, &content.Options{Limit: limit})
	connect(t, m, other)
	data := random(size, 1)
	var last cid.Cid
	for n := range byte(40) {
		data[size-1] = n
		c, err := other.Add(ctx, data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Get(ctx, c, size, other.ID()); err != nil {
			t.Fatal(err)
		}
		last = c
		if n := m.Bytes(); n > limit {
			t.Fatalf("the store has %d bytes", n)
		}
	}
	other.Close()
	if got, err := m.Get(ctx, last, size); err != nil || got[size-1] != 39 {
		t.Errorf("the last one: %v", err)
	}
}

// Where little of the disk is free, nothing of others is fetched, and what is
// one's own is still added.
func TestFloor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var free atomic.Uint64
	free.Store(diskspace.Reserve + 1<<20)
	other := start(t, "")
	m := startWith(t, &content.Options{Dir: t.TempDir(), Free: func(string) (uint64, error) { return free.Load(), nil }})
	connect(t, m, other)
	small, err := other.Add(ctx, random(1000, 1))
	large, err2 := other.Add(ctx, random(2<<20, 2))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Get(ctx, large, 2<<20, other.ID()); !errors.Is(err, diskspace.ErrLow) {
		t.Errorf("what would leave too little free: %v", err)
	}
	if _, err := m.Get(ctx, small, 2<<20, other.ID()); err != nil {
		t.Error(err)
	}
	free.Store(1000)
	if _, err := m.Get(ctx, large, 2<<20, other.ID()); !errors.Is(err, diskspace.ErrLow) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := m.Add(ctx, random(1000, 3)); err != nil {
		t.Errorf("one's own: %v", err)
	}
	free.Store(1 << 40)
	if _, err := m.Get(ctx, large, 2<<20, other.ID()); err != nil {
		t.Error(err)
	}
}

// What is fetched and added while room is made is whole.
func TestCollectWhileFetching(t *testing.T) {
	const limit, each = 6 << 20, 700 << 10
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other, m := start(t, ""), startWith(t, &content.Options{Limit: limit})
	connect(t, m, other)
	done := make(chan error, 3)
	for worker := range byte(3) {
		go func() {
			done <- func() error {
				for i := range byte(15) {
					c, err := other.Add(ctx, random(each, worker*60+i))
					if err != nil {
						return err
					}
					if _, err := m.Get(ctx, c, each, other.ID()); err != nil && !errors.Is(err, content.ErrFull) {
						return err
					}
					own, err := m.Add(ctx, random(300<<10, worker*60+30+i))
					if err != nil {
						return err
					}
					if _, err := m.Get(ctx, own, each, []p2p.ID{}...); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
