package tasklet_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// FuzzEntry decodes entries of a journal of any bytes.
func FuzzEntry(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzEntry/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	key := string(good().ID)
	for _, e := range append(tasklet.EncodeEntries(good()), tasklet.EncodeEntries(goodFunction())...) {
		if kinds, err := tasklet.DecodeEntry(key, e); kinds == 0 || err != nil {
			f.Errorf("%q is an entry of no kind, %v", e, err)
		}
		f.Add(tasklet.UnsealEntry(e))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := tasklet.DecodeEntry(key, tasklet.SealEntry(body)); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
		tasklet.DecodeEntry(key, body)
	})
}

// Logs of which only a part is on disk, or which are gone, do not keep a host
// from starting; the tasklet says what is wrong.
func TestDamagedLog(t *testing.T) {
	ctx := within(t, patience)
	dir := t.TempDir()
	p := startAt(t, dir, tcp)
	tl := spawn(ctx, t, p, "zoo", "forever")
	if err := tl.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	p.close()
	logs := must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets", "pages", "*")))
	if len(logs) != 1 {
		t.Fatalf("logs %v", logs)
	}
	text := must[[]byte](t)(os.ReadFile(logs[0]))
	text[len(text)/2]++
	if err := os.WriteFile(logs[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(logs[0]+"-other.pages", text, 0o600); err != nil {
		t.Fatal(err)
	}
	p = startAt(t, dir, tcp)
	tl = must[*tasklet.Tasklet](t)(p.Find(string(tl.ID())))
	if err := tl.Resume(ctx); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("resume: %v", err)
	}
	if i := look(t, tl); i.State != tasklet.Suspended || i.Error == "" {
		t.Errorf("it is %+v", i)
	}
	if logs := must[[]string](t)(filepath.Glob(filepath.Join(dir, "tasklets", "pages", "*"))); len(logs) != 1 {
		t.Errorf("a log that nobody speaks of is still there: %v", logs)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
}
