package content

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/ipfs/go-cid"
)

// roots are the CIDs of whole files in the store, each announced as long as the
// store is open. On disk each is an empty file with the CID as its name.
type roots struct {
	dir      string // "" in memory
	announce func(cid.Cid) (stop func())

	mu    sync.Mutex
	stops map[cid.Cid]func()
}

func openRoots(dir string, announce func(cid.Cid) func()) (*roots, error) {
	r := &roots{dir: dir, announce: announce, stops: make(map[cid.Cid]func())}
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
			r.stops[c] = announce(c)
		}
	}
	return r, nil
}

// add remembers and announces c.
func (r *roots) add(c cid.Cid) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.stops[c]; there {
		return nil
	}
	if r.dir != "" {
		f, err := os.Create(filepath.Join(r.dir, c.String()))
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	r.stops[c] = r.announce(c)
	return nil
}

// close ends the announcements.
func (r *roots) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, stop := range r.stops {
		stop()
	}
	r.stops = make(map[cid.Cid]func())
}
