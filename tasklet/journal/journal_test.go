package journal_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/tasklet/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// Changes happen together or not at all, and are there when the journal is
// opened again.
func TestEntries(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	j := open(t, dir)
	put := func(table journal.Table, key string, fail error) error {
		return j.Update(func(tx *journal.Tx) error {
			if err := tx.Put(table, key, []byte("value of "+key)); err != nil {
				return err
			}
			return fail
		})
	}
	for _, key := range []string{"b", "a"} {
		if err := put("t", key, nil); err != nil {
			t.Fatal(err)
		}
	}
	own := errors.New("own")
	if err := put("t", "never", own); !errors.Is(err, own) {
		t.Errorf("update: %v", err)
	}
	if err := put("t", string(make([]byte, journal.MaxKey+1)), nil); err == nil {
		t.Error("a key over the limit was taken")
	}
	err := j.Update(func(tx *journal.Tx) error {
		return errors.Join(tx.Delete("t", "b"), tx.Delete("none", "b"), tx.Delete("t", "none"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var entries []string
	err = open(t, dir).Each("t", func(key string, value []byte) error {
		entries = append(entries, key+": "+string(value))
		return nil
	})
	if err != nil || !slices.Equal(entries, []string{"a: value of a"}) {
		t.Errorf("entries %q, %v", entries, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "journal.db")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
}

func page(n byte) []byte { return bytes.Repeat([]byte{n}, journal.PageSize) }

func TestPages(t *testing.T) {
	j := open(t, t.TempDir())
	p, err := j.Create("one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Create("one"); err == nil {
		t.Error("a log was made twice")
	}
	add := func(index uint32, n byte) {
		t.Helper()
		if err := p.Append(index, sha256.Sum256(page(n)), page(n)); err != nil {
			t.Fatal(err)
		}
	}
	add(1, 1)
	add(2, 2)
	length, err := p.Sync()
	if err != nil {
		t.Fatal(err)
	}
	add(1, 3)
	if p.Records() != 3 || p.Name() != "one" {
		t.Errorf("%d records of %s", p.Records(), p.Name())
	}
	p.Close()

	read := func(length int64, limit uint32) (got []string, err error) {
		p, err := j.Open("one", length, limit, func(index uint32, _ journal.Hash, page []byte) error {
			got = append(got, fmt.Sprint(index, page[0]))
			return nil
		})
		if err == nil {
			p.Close()
		}
		return got, err
	}
	if got, err := read(-1, 9); err != nil || !slices.Equal(got, []string{"1 1", "2 2", "1 3"}) {
		t.Errorf("all of it: %v, %v", got, err)
	}
	for what, length := range map[string]int64{"longer": 1 << 40, "odd": length + 1} {
		if _, err := read(length, 9); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, err := read(length, 9); err != nil || len(got) != 2 {
		t.Errorf("the part that was on disk: %v, %v", got, err)
	}
	if got, err := read(-1, 9); err != nil || len(got) != 2 {
		t.Errorf("what was behind is still there: %v, %v", got, err)
	}
	if _, err := read(length, 2); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("an index over the limit: %v", err)
	}
	names, err := j.Logs()
	if err != nil || !slices.Equal(names, []string{"one"}) {
		t.Errorf("logs %v, %v", names, err)
	}
	if err := errors.Join(j.Remove("one"), j.Remove("one")); err != nil {
		t.Error(err)
	}
	if _, err := read(-1, 9); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed log: %v", err)
	}
}

func TestText(t *testing.T) {
	j := open(t, t.TempDir())
	read := func(limit int64) (*journal.Text, string) {
		t.Helper()
		text, base, data, err := j.Text("out", limit)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { text.Close() })
		return text, fmt.Sprint(base, " ", string(data))
	}
	text, got := read(100)
	if got != "0 " {
		t.Errorf("a new text: %q", got)
	}
	if all, err := j.Texts(); err != nil || len(all) > 0 {
		t.Errorf("texts with nothing in them: %v, %v", all, err)
	}
	text.Append([]byte("hello, "))
	text.Append([]byte("world"))
	if _, got := read(100); got != "0 hello, world" {
		t.Errorf("%q", got)
	}
	if _, got := read(5); got != "7 world" {
		t.Errorf("the end of it: %q", got)
	}
	if err := text.Replace(7, []byte("world")); err != nil {
		t.Fatal(err)
	}
	text.Append([]byte("!"))
	if _, got := read(100); got != "7 world!" {
		t.Errorf("replaced: %q", got)
	}
	if all, err := j.Texts(); err != nil || !slices.Equal(all, []string{"out"}) {
		t.Errorf("texts %v, %v", all, err)
	}
	if err := errors.Join(j.RemoveText("out"), j.RemoveText("out")); err != nil {
		t.Error(err)
	}
}

// FuzzText opens texts of any bytes.
func FuzzText(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzText/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		j := open(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "x.text"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		text, base, got, err := j.Text("x", 8)
		if err != nil {
			return
		}
		text.Close()
		if base < 0 || len(got) > 8 {
			t.Errorf("%d bytes at %d", len(got), base)
		}
	})
}

// FuzzPages opens logs of any bytes.
func FuzzPages(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzPages/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		j := open(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "pages", "x.pages"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		var records int64
		p, err := j.Open("x", -1, 16, func(index uint32, hash journal.Hash, page []byte) error {
			if index >= 16 || hash != sha256.Sum256(page) {
				t.Error("a record that is not sound")
			}
			records++
			return nil
		})
		if err != nil {
			return
		}
		if p.Records() != records {
			t.Errorf("%d records, of which %d were seen", p.Records(), records)
		}
		length, err := p.Sync()
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		p, err = j.Open("x", length, 16, func(uint32, journal.Hash, []byte) error { return nil })
		if err != nil {
			t.Fatalf("what was sound is not: %v", err)
		}
		p.Close()
	})
}
