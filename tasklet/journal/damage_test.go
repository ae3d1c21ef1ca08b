package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// filled returns a folder with a journal of some hundred entries.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j := open(t, dir)
	err := j.Update(func(tx *journal.Tx) error {
		for n := range 90 {
			if err := tx.Put(journal.Table(fmt.Sprint("table", n%3)), fmt.Sprint("key", n), bytes.Repeat([]byte{byte(n)}, 30*n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A journal that is damaged is an error that says which file, what is wrong and
// what to do, and never a panic or an empty journal.
func TestDamaged(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	noise := func(b []byte) {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	}
	for name, damage := range map[string]func(file []byte) []byte{
		"empty":                 func([]byte) []byte { return []byte{} },
		"removed":               func([]byte) []byte { return nil },
		"zeroed":                func(b []byte) []byte { clear(b); return b },
		"noise":                 func(b []byte) []byte { noise(b); return b },
		"cut off to a byte":     func(b []byte) []byte { return b[:1] },
		"cut off to a page":     func(b []byte) []byte { return b[:4096] },
		"cut off to two pages":  func(b []byte) []byte { return b[:8192] },
		"cut off in the middle": func(b []byte) []byte { return b[:len(b)/2] },
		"all but the head zero": func(b []byte) []byte { clear(b[8192:]); return b },
		"noise behind the head": func(b []byte) []byte { noise(b[8192:]); return b },
		"another's file":        func(b []byte) []byte { return bytes.Repeat([]byte("hello, world\n"), 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			file := filepath.Join(dir, "journal.db")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text = damage(text); text != nil {
				err = os.WriteFile(file, text, 0o600)
			} else {
				err = os.Remove(file)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the file is not made another by being looked at
				j, err := journal.Open(dir)
				if err == nil {
					j.Close()
				}
				if !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), file) {
					t.Fatalf("open: %v", err)
				}
				t.Log(err)
			}
			aside, err := journal.SetAside(dir)
			if err != nil {
				t.Fatal(err)
			}
			if kept, err := os.ReadFile(filepath.Join(aside, "journal.db")); text != nil && !bytes.Equal(kept, text) {
				t.Errorf("what was set aside is another file: %d bytes, %v", len(kept), err)
			}
			if err := open(t, dir).Each("table0", func(string, []byte) error { return errors.New("an entry") }); err != nil {
				t.Errorf("the new journal: %v", err)
			}
		})
	}
}

// Whatever page is damaged, opening the journal is an error, or all that it says
// can be read and be changed.
func TestDamagedPage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	dir := filled(t)
	file := filepath.Join(dir, "journal.db")
	sound, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for at := 0; at < len(sound); at += 4096 {
		for _, fill := range []func(page []byte){
			func(page []byte) { clear(page) },
			func(page []byte) {
				for i := range page {
					page[i] = byte(rnd.Uint32())
				}
			},
			func(page []byte) { page[rnd.IntN(64)] ^= 1 << rnd.IntN(8) },
			func(page []byte) { copy(page, sound[(at+4096)%len(sound):]) },
		} {
			text := bytes.Clone(sound)
			fill(text[at : at+4096])
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := journal.Open(dir)
			if errors.Is(err, journal.ErrDamaged) {
				damaged++
				continue
			}
			if err != nil {
				t.Fatalf("page at %d: %v", at, err)
			}
			for n := range 3 {
				if err := j.Each(journal.Table(fmt.Sprint("table", n)), func(string, []byte) error { return nil }); err != nil {
					t.Errorf("page at %d: %v", at, err)
				}
			}
			if err := j.Update(func(tx *journal.Tx) error { return tx.Put("table0", "new", make([]byte, 10000)) }); err != nil {
				t.Errorf("page at %d: %v", at, err)
			}
			j.Close()
		}
	}
	t.Logf("%d of %d were noticed", damaged, len(sound)/1024)
}

// A folder in which there was no journal yet gets one, also if a process died
// when it had just begun.
func TestBegun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// An entry that its reader cannot use is kept in a file and is no entry any more.
func TestSetAsideEntry(t *testing.T) {
	dir := filled(t)
	j := open(t, dir)
	for _, key := range []string{"key0", "key3", "../../../key"} {
		file, err := j.SetAsideEntry("table0", key, []byte("value of "+key))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "value of "+key || filepath.Dir(file) != filepath.Join(dir, "set-aside") {
			t.Errorf("%s has %q, %v", file, text, err)
		}
	}
	n := 0
	if err := j.Each("table0", func(string, []byte) error { n++; return nil }); err != nil || n != 28 {
		t.Errorf("%d entries are left, %v", n, err)
	}
}

// FuzzDamaged opens journals in which some bytes are others: five bytes of input
// are the place of one and what it is changed by.
func FuzzDamaged(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzDamaged/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	made := f.TempDir()
	j := open(f, made)
	for n := range 40 {
		err := j.Update(func(tx *journal.Tx) error { return tx.Put("t", fmt.Sprint("key", n), make([]byte, 200)) })
		if err != nil {
			f.Fatal(err)
		}
	}
	j.Close()
	sound, err := os.ReadFile(filepath.Join(made, "journal.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, patches []byte) {
		text := bytes.Clone(sound)
		for ; len(patches) >= 5; patches = patches[5:] {
			text[int(binary.LittleEndian.Uint32(patches))%len(text)] ^= patches[4]
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal.db"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(dir)
		if errors.Is(err, journal.ErrDamaged) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if err := j.Each("t", func(string, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
		err = j.Update(func(tx *journal.Tx) error {
			return errors.Join(tx.Put("t", "key1", make([]byte, 5000)), tx.Delete("t", "key2"))
		})
		if err != nil {
			t.Error(err)
		}
	})
}
