package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// On a full disk an update is made that may use the reserve, once and again when
// the reserve was filled again, and no other.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=700"); err != nil {
		t.Skipf("no disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	j := open(t, filepath.Join(dir, "journal"))
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, "ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if f.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	put := func(key string) func(tx *journal.Tx) error {
		return func(tx *journal.Tx) error { return tx.Put("t", key, bytes.Repeat([]byte("x"), 300_000)) }
	}
	for _, key := range []string{"a", "b", "c"} {
		fill()
		if err := j.Update(put("plain")); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%s: on a full disk: %v", key, err)
		}
		if err := j.UpdateFromReserve(put(key)); err != nil {
			t.Fatalf("%s: from the reserve: %v", key, err)
		}
		if err := j.Reserve(); err == nil {
			t.Errorf("%s: there is room for all of the reserve", key)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "ballast")), j.Reserve(), j.Update(put("plain"))); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	err := open(t, filepath.Join(dir, "journal")).Each("t", func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil || len(keys) != 4 {
		t.Errorf("%q, %v", keys, err)
	}
}
