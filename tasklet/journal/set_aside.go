package journal

import (
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
	return aside, syncDir(filepath.Dir(aside))
}

// SetAsideEntry keeps an entry that its reader cannot use in a file of its own,
// in the folder set-aside, removes it from its table, and returns the file's
// name.
func (j *Journal) SetAsideEntry(table Table, key string, value []byte) (file string, err error) {
	dir, err := j.asideDir()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, fmt.Sprintf("%s-%s-*", table, fileName(key))) // mode 0600
	if err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	_, err = f.Write(value)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(dir)); err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	return f.Name(), j.Update(func(tx *Tx) error { return tx.Delete(table, key) })
}

// SetAsideLog keeps a log in the folder set-aside, and no longer among the
// others.
func (j *Journal) SetAsideLog(name string) error { return j.moveAside(j.pagesFile(name)) }

// SetAsideText does the same with a text.
func (j *Journal) SetAsideText(name string) error { return j.moveAside(j.textFile(name)) }

func (j *Journal) moveAside(file string) error {
	dir, err := j.asideDir()
	if err == nil {
		err = os.Rename(file, filepath.Join(dir, filepath.Base(file)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *Journal) asideDir() (string, error) {
	dir := filepath.Join(j.dir, "set-aside")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	return dir, nil
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
