package tasklet_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/tasklet"
)

// What a tasklet is when it does not run, memory included, holds nothing of the
// machine that it was on, but for the limit of its memory, by which its runtime
// goes. A suspended one is on disk as it would travel.
func TestNothingOfTheHost(t *testing.T) {
	ctx := within(t, patience)
	wasm := build(t, "zoo")
	t.Setenv("DSTACKLESS_SECRET", "a secret of the environment")
	dir := filepath.Join(t.TempDir(), "folder of data")
	t.Chdir(t.TempDir())
	p := startAt(t, dir, tcp)
	tl := must[*tasklet.Tasklet](t)(p.Spawn(ctx, wasm, "look", "the argument"))
	eventually(ctx, t, "its view", func() bool { return strings.Contains(output(t, tl), "that is all") })
	if err := tl.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	if got, want := output(t, tl), "variable GOMEMLIMIT\n0 files\nwasip1\nthat is all\n"; got != want {
		t.Errorf("it sees %q; want %q", got, want)
	}
	addr := p.node.Addrs()[0]
	secrets := map[string]string{
		"environment": os.Getenv("DSTACKLESS_SECRET"), "data folder": dir,
		"working folder": must[string](t)(os.Getwd()), "search path": os.Getenv("PATH"), "home": os.Getenv("HOME"),
		"executable": must[string](t)(os.Executable()), "address": strings.Split(addr, "/p2p/")[0],
	}
	if name, err := os.Hostname(); err == nil {
		secrets["host name"] = name
	}
	p.close()
	var all []byte
	if err := filepath.WalkDir(filepath.Join(dir, "tasklets"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			all = append(all, must[[]byte](t)(os.ReadFile(path))...)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"the argument", string(tl.ID()), "a word of the heap"} {
		if !bytes.Contains(all, []byte(own)) {
			t.Errorf("%q is not on disk: this test looks at the wrong place", own)
		}
	}
	for what, secret := range secrets {
		if len(secret) < 6 { // it may be there by chance
			t.Logf("%s: %q is too short", what, secret)
		} else if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%s %q is in what is on disk of a tasklet", what, secret)
		}
	}
}
