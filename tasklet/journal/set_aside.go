package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SetAside renames the folder of a journal, which nobody has open, so that a new
// one can be begun, and returns its new name.
func SetAside(dir string) (aside string, err error) {
	aside = fmt.Sprintf("%s-damaged-%s", filepath.Clean(dir), time.Now().UTC().Format("20060102-150405.000000"))
	if err := os.Rename(dir, aside); err != nil {
		return "", fmt.Errorf("journal: set aside: %w", err)
	}
	parent, err := os.Open(filepath.Dir(aside))
	if err != nil {
		return aside, err
	}
	return aside, syncNames(parent)
}

// SetAsideEntry keeps an entry that its reader cannot use in a file of its own,
// in the folder set-aside, removes it from its table, and returns the file's
// name.
func (j *Journal) SetAsideEntry(table Table, key string, value []byte) (file string, err error) {
	if err := j.makeAside(); err != nil {
		return "", err
	}
	name := filepath.Join(asideDir, fmt.Sprintf("%s-%s-%s", table, fileName(key), rand.Text()))
	f, err := j.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	_, err = f.Write(value)
	if err = errors.Join(err, f.Sync(), f.Close(), j.syncDir(asideDir)); err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	return filepath.Join(j.dir, name), j.Update(func(tx *Tx) error { return tx.Delete(table, key) })
}

// SetAsideLog keeps a log in the folder set-aside, and no longer among the
// others.
func (j *Journal) SetAsideLog(name string) error { return j.moveAside(pagesFile(name)) }

// SetAsideText does the same with a text.
func (j *Journal) SetAsideText(name string) error { return j.moveAside(textFile(name)) }

func (j *Journal) moveAside(file string) error {
	err := j.makeAside()
	if err == nil {
		err = j.root.Rename(file, filepath.Join(asideDir, filepath.Base(file)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// asideDir is the folder of what was set aside, in that of the journal.
const asideDir = "set-aside"

func (j *Journal) makeAside() error {
	if err := j.root.MkdirAll(asideDir, 0o700); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// fileName returns a key as it can be a part of a file's name.
func fileName(key string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '_'
	}, key)
	return plain[:min(len(plain), 64)]
}
