package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long Open waits for another process to let go.
const lockTimeout = 5 * time.Second

const (
	database = "journal.db"
	// begun is a file that says that the folder has a database: one that is
	// missing or empty was not made yet without it, and is damaged with it.
	begun = "begun"
)

// Open opens the journal in dir, which is created if need be. The error wraps
// [ErrDamaged] if there was a journal and not all of it is there and sound: see
// [SetAside].
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Join(dir, pagesDir), 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{dir: dir, root: root}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return j, nil
}

// open opens the database.
func (j *Journal) open() (err error) {
	file := filepath.Join(j.dir, database)
	if err := j.lost(); err != nil {
		return damaged(file, err)
	}
	if j.db, err = openDatabase(file); err != nil {
		return err
	}
	j.db.MaxBatchDelay = gather
	if err := j.begin(); err != nil {
		return errors.Join(fmt.Errorf("journal: %w", err), j.db.Close())
	}
	// A process that died may have left files half written.
	halves, _ := fs.Glob(j.root.FS(), half+"*")
	for _, f := range halves {
		j.root.Remove(f)
	}
	j.Reserve() // on a full disk, later
	return nil
}

// lost says what is wrong if there was a database and there is none.
func (j *Journal) lost() error {
	info, err := j.root.Stat(database)
	if err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	was := "is empty"
	if err != nil {
		was = "is missing"
	}
	if _, err := j.root.Stat(begun); err == nil {
		return fmt.Errorf("it %s, and there was one", was)
	}
	logs, err := j.Logs()
	texts, e := j.Texts()
	if n := len(logs) + len(texts); n > 0 {
		return fmt.Errorf("it %s, and there are %d files that belong to it", was, n)
	}
	return errors.Join(err, e)
}

// begin notes that there is a database.
func (j *Journal) begin() error {
	f, err := j.root.OpenFile(begun, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Close(), j.syncDir("."))
	}
	return err
}

// damaged returns the error of a database that is damaged.
func damaged(file string, why error) error {
	return fmt.Errorf("%w: %s: %w; restore the folder %s from a copy, or have it set aside and a new journal begun",
		ErrDamaged, file, why, filepath.Dir(file))
}

// openDatabase verifies and opens the database.
func openDatabase(file string) (*bbolt.DB, error) {
	if err := verifyFile(file); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("journal: %s is in use by another process", file)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, damaged(file, err)
	case err != nil:
		return nil, fmt.Errorf("journal: %w", err)
	}
	return db, nil
}

// verifyFile verifies the database, unless there is none yet, or another process
// has it.
func verifyFile(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 || !lock(f) {
		return err
	}
	if err := verify(f); err != nil {
		return damaged(file, err)
	}
	return nil
}
