package content

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// collectPause is how long the store is left alone after a collection that could
// not make the room that was wanted.
const collectPause = 10 * time.Second

// SetInUse has the store keep the files that inUse returns, however little room
// there is. It is called while the store is locked, and must not call it. Files
// that nobody uses are removed when the store is full, first those that were not
// added or got for longest.
func (s *Store) SetInUse(inUse func() []cid.Cid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse = inUse
}

// makeRoom removes what is not in use if there is else no room for so many bytes.
func (s *Store) makeRoom(ctx context.Context, bytes int64) error {
	err := s.stock.room(bytes)
	if !errors.Is(err, ErrFull) || bytes > s.stock.limit {
		return err
	}
	s.collecting.Lock()
	defer s.collecting.Unlock()
	if err = s.stock.room(bytes); !errors.Is(err, ErrFull) || time.Since(s.inVain) < collectPause {
		return err
	}
	if e := s.collect(ctx, bytes); e != nil {
		return errors.Join(err, e)
	}
	if err = s.stock.room(bytes); errors.Is(err, ErrFull) {
		s.inVain = time.Now()
	}
	return err
}

// collect removes files that are not in use until three quarters of what the
// store may have are left, or room for so many bytes, and all blocks of none.
func (s *Store) collect(ctx context.Context, bytes int64) error {
	s.stock.stays.Lock()
	defer s.stock.stays.Unlock()
	s.mu.Lock()
	inUse := s.inUse
	marked := marks{store: s, live: map[string]struct{}{}}
	var used []cid.Cid
	for c := range s.getting {
		used = append(used, c)
	}
	s.mu.Unlock()
	if inUse != nil {
		used = append(used, inUse()...)
	}
	keep := map[cid.Cid]bool{}
	for _, c := range used {
		keep[c] = true
		if _, err := marked.mark(ctx, c); err != nil {
			return err
		}
	}
	target := min(s.stock.limit/4*3, s.stock.limit-bytes)
	full := false
	for _, c := range s.roots.byUse() {
		if keep[c] {
			continue
		}
		if !full {
			bytes := marked.bytes
			added, err := marked.mark(ctx, c)
			if err != nil {
				return err
			}
			if full = marked.bytes > target; full {
				for _, hash := range added {
					delete(marked.live, hash)
				}
				marked.bytes = bytes
			}
		}
		if full {
			if err := s.roots.remove(c); err != nil {
				return err
			}
		}
	}
	return s.sweep(ctx, marked.live)
}

// sweep removes the blocks that are not live.
func (s *Store) sweep(ctx context.Context, live map[string]struct{}) error {
	var left int64
	err := s.stock.each(ctx, func(c cid.Cid, size int64) error {
		if _, ok := live[string(c.Hash())]; ok {
			left += size
			return nil
		}
		return s.stock.DeleteBlock(ctx, c)
	})
	if err != nil {
		return errors.Join(err, s.stock.count(ctx))
	}
	s.stock.bytes.Store(left)
	return nil
}

// marks are the blocks that stay.
type marks struct {
	store *Store
	live  map[string]struct{} // by multihash
	bytes int64               // that they count
}

// mark marks those blocks of a file that are there, and returns which were not
// marked before.
func (m *marks) mark(ctx context.Context, root cid.Cid) (added []string, err error) {
	for next := []cid.Cid{root}; len(next) > 0; {
		c := next[len(next)-1]
		next = next[:len(next)-1]
		if _, ok := m.live[string(c.Hash())]; ok || c.Prefix().MhType == multihash.IDENTITY {
			continue
		}
		size, err := m.store.stock.GetSize(ctx, c)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // it is not there
		}
		m.live[string(c.Hash())] = struct{}{}
		added = append(added, string(c.Hash()))
		m.bytes += max(int64(size), leastBlock)
		if c.Type() == cid.Raw {
			continue
		}
		b, err := m.store.stock.Get(ctx, c)
		if err != nil {
			continue
		}
		if n, err := decode(b); err == nil {
			for _, child := range n.children {
				next = append(next, child.cid)
			}
		}
	}
	return added, nil
}
