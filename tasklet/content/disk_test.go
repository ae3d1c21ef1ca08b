package content_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDiskKeepsContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	data := random(1<<20, 9)
	m := start(t, dir)
	c := add(t, m, data)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	// Another run finds it, announces it, and serves it.
	again, middle, other := start(t, dir), start(t, ""), start(t, "")
	connect(t, again, middle)
	connect(t, other, middle)
	for ctx := within(t); !slices.Contains(slices.Collect(middle.table.Find(ctx, c)), again.ID()); {
		if ctx.Err() != nil {
			t.Fatal("what is on disk is not announced")
		}
	}
	get(t, other, c, data)
	get(t, again, c, data)
}

func TestDamagedBlockIsFetchedAgain(t *testing.T) {
	dir := t.TempDir()
	data := random(1<<20, 10)
	m := start(t, dir)
	c := add(t, m, data)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".data") {
			return err
		}
		damaged++
		return os.WriteFile(path, []byte("damaged"), 0o600)
	})
	if err != nil || damaged != 5 {
		t.Fatalf("damaged %d block files, want 5: %v", damaged, err)
	}
	again, source := start(t, dir), start(t, "")
	add(t, source, data)
	connect(t, again, source)
	get(t, again, c, data)
}
