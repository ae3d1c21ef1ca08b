package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// ErrDamaged says that what is on disk is not what was written.
var ErrDamaged = errors.New("journal is damaged")

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 256

// A Table is a kind of entry. Tables are made when they are first written.
type Table string

// A Journal is a folder with entries and logs. It is safe for concurrent use.
type Journal struct {
	db  *bbolt.DB
	dir string
}

// gather is how long an update waits for others, to be brought to the disk with
// them: one takes as long as many, some milliseconds.
const gather = time.Millisecond

// lockTimeout is how long Open waits for another process to let go.
const lockTimeout = 5 * time.Second

// Open opens the journal in dir, which is created if need be.
func Open(dir string) (*Journal, error) {
	j := &Journal{dir: dir}
	if err := os.MkdirAll(j.pagesDir(), 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "journal.db"), 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", dir, err)
	}
	j.db, db.MaxBatchDelay = db, gather
	// A process that died may have left files half written.
	halves, _ := filepath.Glob(filepath.Join(dir, "replace*"))
	for _, f := range halves {
		os.Remove(f)
	}
	return j, nil
}

// Close closes the journal. Logs that are open stay usable.
func (j *Journal) Close() error { return j.db.Close() }

// Update makes the changes that f makes, all of them or, if f returns an error
// or the process dies, none. When it returns nil they are on disk. Updates that
// come within a millisecond share a write, which may call f twice: with its first
// changes undone, because another's failed.
func (j *Journal) Update(f func(tx *Tx) error) error {
	if err := j.db.Batch(func(tx *bbolt.Tx) error { return f(&Tx{tx}) }); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// A Tx is a number of changes that happen together.
type Tx struct{ tx *bbolt.Tx }

// Put sets an entry.
func (t *Tx) Put(table Table, key string, value []byte) error {
	b, err := t.tx.CreateBucketIfNotExists([]byte(table))
	if err != nil {
		return err
	}
	if len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes; the limit is %d", len(key), MaxKey)
	}
	return b.Put([]byte(key), value)
}

// Delete removes an entry, if it is there.
func (t *Tx) Delete(table Table, key string) error {
	if b := t.tx.Bucket([]byte(table)); b != nil {
		return b.Delete([]byte(key))
	}
	return nil
}

// An Entry is one of a table's.
type Entry struct {
	Key   string
	Value []byte
}

// Entries returns all entries of a table, by key.
func (j *Journal) Entries(table Table) (entries []Entry, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(table))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			entries = append(entries, Entry{string(k), slices.Clone(v)})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", table, err)
	}
	return entries, nil
}
