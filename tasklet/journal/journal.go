package journal

import (
	"errors"
	"fmt"
	"os"
	"sync"
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
//
// It holds the folder open: when that is moved, the journal goes on in it, and
// writes nothing to another folder that has taken its place.
type Journal struct {
	db   *bbolt.DB
	root *os.Root // the folder
	dir  string   // its path when it was opened, for people

	reserve sync.Mutex // held while the reserve is freed, used or filled
}

// gather is how long an update waits for others, to be brought to the disk with
// them: one takes as long as many, some milliseconds.
const gather = time.Millisecond

// Close closes the journal. Logs that are open stay usable.
func (j *Journal) Close() error { return errors.Join(j.db.Close(), j.root.Close()) }

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

// ErrNoEntry says that there is no such entry.
var ErrNoEntry = errors.New("there is no such entry")

// Get calls f for one entry. The value may not be kept when f has returned, nor may
// f change the journal. The error wraps [ErrNoEntry] if there is none, or is that
// of f.
func (j *Journal) Get(table Table, key string, f func(value []byte) error) error {
	err := j.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(table)); b != nil {
			if v := b.Get([]byte(key)); v != nil {
				return f(v)
			}
		}
		return ErrNoEntry
	})
	if err != nil {
		return fmt.Errorf("journal: %s %s: %w", table, key, err)
	}
	return nil
}

// Each calls f for all entries of a table, by key. Neither may the value be kept
// when f has returned, nor may f change the journal. It stops at the first error.
func (j *Journal) Each(table Table, f func(key string, value []byte) error) error {
	err := j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(table))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error { return f(string(k), v) })
	})
	if err != nil {
		return fmt.Errorf("journal: %s: %w", table, err)
	}
	return nil
}
