package journal_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// A journal whose folder was moved goes on in it, and neither writes to another
// one that has taken its place nor removes anything there.
func TestMovedFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder that is open cannot be moved there")
	}
	top := t.TempDir()
	dir, moved := filepath.Join(top, "journal"), filepath.Join(top, "moved")
	use := func(j *journal.Journal, name string) error {
		p, err := j.Create(name)
		if err != nil {
			return err
		}
		text, _, _, err := j.Text(name, 100)
		if err != nil {
			return err
		}
		_, synced := p.Sync()
		return errors.Join(p.Append(1, sha256.Sum256(page(1)), page(1)), synced, p.Close(),
			text.Append([]byte("hello")), text.Replace(3, []byte("lo")), text.Close())
	}
	files := func(dir string) (all []string) {
		for _, pattern := range []string{"*.text", "pages/*", "set-aside/*"} {
			some, _ := filepath.Glob(filepath.Join(dir, pattern))
			all = append(all, some...)
		}
		return all
	}
	old := open(t, dir)
	if err := errors.Join(use(old, "both"), os.Rename(dir, moved)); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, dir)
	if err := use(fresh, "both"); err != nil {
		t.Fatal(err)
	}
	_, setAside := old.SetAsideEntry("t", "k", []byte("v"))
	err := errors.Join(use(old, "old"), setAside, old.Remove("both"), old.RemoveText("both"), old.SetAsideLog("old"))
	if err != nil {
		t.Error(err)
	}
	if all := files(dir); len(all) != 2 {
		t.Errorf("in the new folder are %q", all)
	}
	if all := files(moved); len(all) != 3 {
		t.Errorf("in the moved folder are %q", all)
	}
	if logs, err := fresh.Logs(); err != nil || len(logs) != 1 {
		t.Errorf("the new journal has the logs %q, %v", logs, err)
	}
}
