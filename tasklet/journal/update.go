package journal

import (
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// updates are those that wait for their turn to be brought to the disk, which
// they then are together: one takes as long as many.
type updates struct {
	turn    sync.Mutex // of whoever writes
	mu      sync.Mutex
	waiting []*update
}

type update struct {
	f   func(tx *Tx) error
	err error // for who wrote it, and then for who asked for it
}

// Update makes the changes that f makes, all of them or, if f returns an error
// or the process dies, none. When it returns nil they are on disk. Updates take
// turns. Those that come meanwhile share the next one, which may call f twice:
// with its first changes undone, because another's failed.
func (j *Journal) Update(f func(tx *Tx) error) error {
	u := &update{f: f}
	j.updates.mu.Lock()
	j.updates.waiting = append(j.updates.waiting, u)
	j.updates.mu.Unlock()
	j.updates.turn.Lock()
	defer j.updates.turn.Unlock()
	j.updates.mu.Lock()
	together := j.updates.waiting
	j.updates.waiting = nil
	j.updates.mu.Unlock()
	j.write(together) // if u is not among them, it was among those of another
	if u.err != nil {
		return fmt.Errorf("journal: %w", u.err)
	}
	return nil
}

// write makes the changes of all updates but those that fail.
func (j *Journal) write(together []*update) {
	for len(together) > 0 {
		failed := -1
		err := j.db.Update(func(tx *bbolt.Tx) error {
			for i, u := range together {
				if u.err = u.f(&Tx{tx}); u.err != nil {
					failed = i
					return u.err
				}
			}
			return nil
		})
		if failed >= 0 {
			together = slices.Delete(together, failed, failed+1)
			continue
		}
		for _, u := range together {
			u.err = err
		}
		return
	}
}
