package guests_test

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/peertest/guests"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// What the other process compiled is what this one looks for: compiling brings
// nothing new into the folder.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	wasm, err := guests.Build("../testdata/stay", dir)
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	if len(before) != 2 { // machine code, and what was loaded
		t.Fatalf("the folder of compiled code has %q", before)
	}
	runtime, err := sandbox.NewRuntime(t.Context(), &sandbox.Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	p, err := program.Load(wasm)
	if err != nil {
		t.Fatal(err)
	}
	code, err := runtime.Compile(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer code.Close()
	if after := files(t, dir); !slices.Equal(after, before) {
		t.Errorf("the folder of compiled code had %q, and then %q", before, after)
	}
}

func TestBuildFails(t *testing.T) {
	if _, err := guests.Build("testdata/nothing", t.TempDir()); err == nil {
		t.Error("a program that is not there was built")
	}
	if err := guests.Compile([]byte("no program"), t.TempDir()); err == nil || !strings.Contains(err.Error(), "guest.wasm") {
		t.Errorf("what is no program was compiled: %v", err)
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
