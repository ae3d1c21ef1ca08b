package compiler_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/program"
)

func limit(err error) compiler.Limit {
	var e *compiler.LimitError
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Limit
}

// A program that takes too much is refused, with the name of the limit, and
// nothing is kept of it.
func TestLimits(t *testing.T) {
	wasm := must[[]byte](t)(built())
	for _, test := range []struct {
		opts compiler.Options
		want compiler.Limit
	}{
		{compiler.Options{Time: 50 * time.Millisecond}, compiler.Time},
		{compiler.Options{Memory: 16 << 20}, compiler.Memory},
		{compiler.Options{OfOnePeer: 1 << 20}, compiler.InUse},
	} {
		test.opts.Dir, test.opts.IdleBytes = t.TempDir(), 1
		c, _ := start(t, test.opts)
		_, err := c.Get(t.Context(), "small", "alice", returning(wasm))
		if limit(err) != test.want || !strings.Contains(err.Error(), "program small") {
			t.Errorf("%v, want an error of the limit on %s", err, test.want)
		}
		if len(c.Programs()) != 0 || c.Idle() != 0 || c.Owed() != 0 {
			t.Errorf("after %v there are %v", err, c.Programs())
		}
		if left := must[[]string](t)(filepath.Glob(filepath.Join(test.opts.Dir, "making-*"))); len(left) > 0 {
			t.Errorf("after %v there is %v", err, left)
		}
	}
}

// What is no program is refused in the words of the loader, and nothing is kept.
func TestRefused(t *testing.T) {
	c, _ := start(t, compiler.Options{})
	for i := range 10 {
		_, err := c.Get(t.Context(), fmt.Sprint(i), "alice", returning([]byte("nothing")))
		var refused *program.UnsupportedError
		if !errors.As(err, &refused) || refused.Reason != program.NotWasm {
			t.Errorf("text instead of a program: %v", err)
		}
	}
	if len(c.Programs()) != 0 || c.Owed() != 0 {
		t.Errorf("%v are kept", c.Programs())
	}
}

// What nobody uses has a limit in bytes and one in time.
func TestIdle(t *testing.T) {
	dir := t.TempDir()
	const limit = 16 << 20
	c, _ := start(t, compiler.Options{Dir: dir, IdleBytes: limit, IdleTime: time.Hour})
	get := func(c *compiler.Compiler, n byte) *compiler.Program {
		t.Helper()
		return must[*compiler.Program](t)(c.Get(t.Context(), fmt.Sprint("small ", n), "", returning(variant(t, n))))
	}
	kept := get(c, 'a')
	for n := byte('b'); n < 'e'; n++ {
		get(c, n).Release()
		if c.Idle() > limit {
			t.Fatalf("%d bytes are idle", c.Idle())
		}
	}
	runs(t, kept.Code())
	if n := len(c.Programs()); n < 2 || n > 3 {
		t.Errorf("%v are in memory", c.Programs())
	}
	kept.Share().Release()
	kept.Release()
	kept.Release()

	c, said := start(t, compiler.Options{Dir: dir, IdleTime: time.Millisecond})
	get(c, 'a').Release()
	get(c, 'e').Release()
	for deadline := time.Now().Add(time.Minute); len(c.Programs()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v are still in memory", c.Programs())
		}
	}
	again := get(c, 'e') // from the folder
	defer again.Release()
	runs(t, again.Code())
	if n := said.count("a program was compiled"); n != 1 {
		t.Errorf("compiled %d times, want once", n)
	}
}

// size returns how many bytes are in a folder.
func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// The folder of compiled code has a limit, and keeps what is used. A folder that
// a process left behind that was killed goes, too.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "making-left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	const limit = 24 << 20
	c, said := start(t, compiler.Options{Dir: dir, FolderBytes: limit, IdleBytes: 1})
	get := func(n byte) {
		must[*compiler.Program](t)(c.Get(t.Context(), fmt.Sprint("small ", n), "", returning(variant(t, n)))).Release()
	}
	get('a')
	each := size(t, dir)
	for n := byte('b'); n < 'f'; n++ {
		get(n)
		get('a')
		if n := size(t, dir); n > limit {
			t.Fatalf("the folder has %d bytes", n)
		}
	}
	if n, want := said.count("a program was compiled"), 5; n != want {
		t.Errorf("%d compiled, want %d: what is used was removed (each has %d bytes)", n, want, each)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed process left behind: %v", err)
	}
}

// What is damaged in the folder is made again.
func TestDamagedFolder(t *testing.T) {
	dir := t.TempDir()
	wasm := must[[]byte](t)(built())
	files := func(pattern string) []string { return must[[]string](t)(filepath.Glob(filepath.Join(dir, pattern))) }
	for name, damage := range map[string]func() error{
		"nothing":              func() error { return nil },
		"a loaded program":     func() error { return os.Truncate(files("loaded/*")[0], 1000) },
		"machine code":         func() error { return os.Truncate(files("wazero-*/*")[0], 1000) },
		"machine code is gone": func() error { return os.Remove(files("wazero-*/*")[0]) },
		"an empty file":        func() error { return os.Truncate(files("loaded/*")[0], 0) },
	} {
		first, _ := start(t, compiler.Options{Dir: dir})
		must[*compiler.Program](t)(first.Get(t.Context(), "small", "", returning(wasm))).Release()
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		c, _ := start(t, compiler.Options{Dir: dir})
		p, err := c.Get(t.Context(), "small", "alice", returning(wasm))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		runs(t, p.Code())
		p.Release()
	}
}

// Of what one peer brings one module at a time is in memory, however slowly it
// serves them; others have their own.
func TestFetchedOneAtATime(t *testing.T) {
	c, _ := start(t, compiler.Options{})
	var mu sync.Mutex
	under, most := map[string]int{}, map[string]int{}
	serve := make(chan struct{})
	slow := func(peer string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) {
			mu.Lock()
			under[peer]++
			most[peer] = max(most[peer], under[peer])
			mu.Unlock()
			<-serve
			mu.Lock()
			under[peer]--
			mu.Unlock()
			return nil, errors.New("nobody has it")
		}
	}
	var all sync.WaitGroup
	for i := range 20 {
		for _, peer := range []string{"alice", "mallory"} {
			all.Go(func() {
				if _, err := c.Get(t.Context(), fmt.Sprint(i), peer, slow(peer)); err == nil {
					t.Error("a program that nobody has")
				}
			})
		}
	}
	both := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return under["alice"] == 1 && under["mallory"] == 1
	}
	for deadline := time.Now().Add(time.Minute); !both(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("one peer keeps the other waiting")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, "late", "mallory", slow("mallory")); !errors.Is(err, context.Canceled) {
		t.Errorf("one that waits no more: %v", err)
	}
	close(serve)
	all.Wait()
	if most["alice"] != 1 || most["mallory"] != 1 || c.Owed() != 0 {
		t.Errorf("at most %v were fetched at a time", most)
	}
}

// Two that want the same program get one.
func TestTogether(t *testing.T) {
	c, said := start(t, compiler.Options{})
	wasm := must[[]byte](t)(built())
	got := make(chan *compiler.Program)
	peers := []string{"", "alice", "alice", "bob", "carol"}
	for _, peer := range peers {
		go func() {
			p, err := c.Get(context.Background(), "small", peer, returning(wasm))
			if err != nil {
				t.Error(err)
			}
			got <- p
		}()
	}
	for range peers {
		if p := <-got; p != nil {
			defer p.Release()
		}
	}
	if n := said.count("a program was compiled"); n != 1 {
		t.Errorf("compiled %d times", n)
	}
	if all := c.Programs(); len(all) != 1 || all[0].Users != len(peers) {
		t.Errorf("in memory are %v", all)
	}
}
