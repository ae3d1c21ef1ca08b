package content

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/tasklet/diskspace"
)

const (
	// MaxDisk and MaxMemory are how many bytes the blocks in a store may have, by
	// default: 4 GiB on disk, 512 MiB in memory.
	MaxDisk, MaxMemory = 4 << 30, 512 << 20
	// leastBlock is what a block counts at least, in bytes.
	leastBlock = 4 << 10
)

// ErrFull is returned when what is in use leaves no room in the store for what
// would have to be fetched.
var ErrFull = errors.New("store is full")

// A stock is a block store that knows how much is in it.
type stock struct {
	blockstore.Blockstore
	limit int64
	floor *diskspace.Floor
	bytes atomic.Int64

	// Held to read by whoever relies on it that blocks stay, and to write while
	// blocks are removed.
	stays sync.RWMutex
}

// count finds out how much is in the store.
func (s *stock) count(ctx context.Context) error {
	var all int64
	err := s.each(ctx, func(_ cid.Cid, size int64) error {
		all += size
		return nil
	})
	s.bytes.Store(all)
	return err
}

// each calls f for all blocks, and with what they count.
func (s *stock) each(ctx context.Context, f func(c cid.Cid, size int64) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all, err := s.AllKeysChan(ctx)
	if err != nil {
		return err
	}
	for c := range all {
		n, err := s.GetSize(ctx, c)
		if err != nil {
			continue // it is damaged, or going
		}
		if err := f(c, max(int64(n), leastBlock)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *stock) Put(ctx context.Context, b blocks.Block) error {
	has, err := s.Has(ctx, b.Cid())
	if err != nil || has {
		return err
	}
	if err := s.Blockstore.Put(ctx, b); err != nil {
		return err
	}
	s.bytes.Add(max(int64(len(b.RawData())), leastBlock))
	return nil
}

func (s *stock) PutMany(ctx context.Context, all []blocks.Block) error {
	for _, b := range all {
		if err := s.Put(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// room returns an error if there is none for so many bytes of others.
func (s *stock) room(bytes int64) error {
	if err := s.floor.Allow(uint64(bytes)); err != nil {
		return err
	}
	if have := s.bytes.Load(); have+bytes > s.limit {
		return fmt.Errorf("%w: it has %d bytes and may have %d; %d are asked for", ErrFull, have, s.limit, bytes)
	}
	return nil
}

// A shared is the stock of a store as those use it who may come at any time, and
// bring what is of others.
type shared struct {
	*stock
	store *Store
}

func (s shared) Put(ctx context.Context, b blocks.Block) error {
	if err := s.store.makeRoom(ctx, int64(len(b.RawData()))); err != nil {
		s.store.refusal.Store(&err)
		return err
	}
	s.stays.RLock()
	defer s.stays.RUnlock()
	return s.stock.Put(ctx, b)
}

func (s shared) PutMany(ctx context.Context, all []blocks.Block) error {
	for _, b := range all {
		if err := s.Put(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
