package content

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
)

// roots are the CIDs of whole files in the store, each announced as long as it is
// there and the store is open. On disk each is an empty file with the CID as its
// name, and the time of its last use.
type roots struct {
	dir      string // "" in memory
	announce func(cid.Cid) (stop func())

	mu  sync.Mutex
	all map[cid.Cid]*root
}

type root struct {
	stop func()
	used time.Time
}

func openRoots(dir string, announce func(cid.Cid) func()) (*roots, error) {
	r := &roots{dir: dir, announce: announce, all: make(map[cid.Cid]*root)}
	if dir == "" {
		return r, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		// A name that is no CID is someone else's file.
		if c, err := cid.Parse(f.Name()); err == nil {
			one := &root{stop: announce(c)}
			if info, err := f.Info(); err == nil {
				one.used = info.ModTime()
			}
			r.all[c] = one
		}
	}
	return r, nil
}

func (r *roots) path(c cid.Cid) string { return filepath.Join(r.dir, c.String()) }

// add remembers and announces c, and that it is used now.
func (r *roots) add(c cid.Cid) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if one := r.all[c]; one != nil {
		one.used = now
		if r.dir != "" {
			os.Chtimes(r.path(c), now, now) // else the order is the one of before
		}
		return nil
	}
	if r.dir != "" {
		f, err := os.Create(r.path(c))
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	r.all[c] = &root{r.announce(c), now}
	return nil
}

// remove forgets c.
func (r *roots) remove(c cid.Cid) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[c]
	if one == nil {
		return nil
	}
	if r.dir != "" {
		if err := os.Remove(r.path(c)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	delete(r.all, c)
	one.stop()
	return nil
}

// byUse returns all roots, the last used first.
func (r *roots) byUse() []cid.Cid {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []cid.Cid
	for c := range r.all {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b cid.Cid) int { return r.all[b].used.Compare(r.all[a].used) })
	return all
}

// close ends the announcements.
func (r *roots) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		one.stop()
	}
	clear(r.all)
}
