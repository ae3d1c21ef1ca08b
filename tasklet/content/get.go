package content

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// maxDepth is how deep the tree of a file may be. 174 links at each of 5
	// levels make more than 2^57 bytes.
	maxDepth = 16
	// A file may have blocksFree blocks, and one more for each blockBytes
	// bytes: a few small blocks that name each other over and over must not
	// unfold into millions.
	blocksFree, blockBytes = 1024, 1024
)

// Get returns the content of the file c, which has at most limit bytes. What
// the store lacks is fetched by bitswap: at first from the connected peers,
// among them those of from, which are dialed when they are not connected; after
// 200 ms also from peers that the DHT names. From peers that only a relay reaches
// it is fetched by a protocol that survives the relay's limits, after a second
// also from those that the DHT names. When no block has come for 2 seconds, all are
// asked anew, later after 4, 8 and so on up to a minute: it does no harm that a peer
// is lost, or says nothing. What was fetched stays in the store and is announced.
// The caller owns the result.
//
// When nobody has the content, Get waits for somebody who does until ctx ends:
// give it a deadline. Blocks that came meanwhile stay, so that a second Get
// goes on where the first ended.
//
// # Errors
//
// [ErrTooLarge], [ErrFull] or diskspace.ErrLow, told by the first block, before
// more is fetched. [ErrMalformed]
// when c is not a file, its blocks contradict each other, or it has more than
// 1,024 blocks of less than 1 KiB on average. [ErrNotFound] together with the
// context's error. [ErrClosed].
func (s *Store) Get(ctx context.Context, c cid.Cid, limit int64, from ...p2p.ID) ([]byte, error) {
	data, err := s.get(ctx, c, limit, from)
	if err != nil {
		return nil, fmt.Errorf("content: get %s: %w", c, err)
	}
	return data, nil
}

func (s *Store) get(ctx context.Context, c cid.Cid, limit int64, from []p2p.ID) ([]byte, error) {
	if err := checkCID(c); err != nil {
		return nil, err
	}
	if !s.begin() {
		return nil, ErrClosed
	}
	defer s.work.Done()
	if isEmpty(c) {
		return []byte{}, nil // bitswap doesn't carry blocks without bytes
	}
	ctx, cancel := s.until(ctx)
	defer cancel()

	s.mu.Lock()
	s.getting[c]++
	s.mu.Unlock()
	defer s.got(c)
	data, err := s.readHere(ctx, c, limit)
	if errors.Is(err, errMissing) && ctx.Err() == nil {
		data, err = s.fetch(ctx, c, limit, from)
		if why := s.refusal.Load(); errors.Is(err, errMissing) && why != nil {
			err = *why // blocks came and could not be kept
		}
	}
	if err == nil {
		return data, s.roots.add(c)
	}
	switch {
	case s.ctx.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotFound, context.Cause(ctx))
	}
	return nil, err
}

// got says that a file is no longer being got.
func (s *Store) got(c cid.Cid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.getting[c]--; s.getting[c] == 0 {
		delete(s.getting, c)
	}
}

// readHere reads a file that is in the store.
func (s *Store) readHere(ctx context.Context, c cid.Cid, limit int64) ([]byte, error) {
	s.stock.stays.RLock()
	defer s.stock.stays.RUnlock()
	return read(ctx, s.offline, c, atMost(limit))
}

// A check refuses a file by its size.
type check func(size int64) error

// atMost refuses files of more than limit bytes.
func atMost(limit int64) check {
	return func(size int64) error {
		if size > limit {
			return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, size, limit)
		}
		return nil
	}
}

// fits also refuses files for which there is no room.
func (s *Store) fits(ctx context.Context, limit int64) check {
	return func(size int64) error {
		if err := atMost(limit)(size); err != nil {
			return err
		}
		return s.makeRoom(ctx, size)
	}
}

// fetch gets a file from other peers, in two ways at once.
func (s *Store) fetch(ctx context.Context, c cid.Cid, limit int64, from []p2p.ID) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	for _, id := range from {
		work.Go(func() { s.dial(ctx, id) })
	}
	type result struct {
		data []byte
		err  error
	}
	pulled, swapped := make(chan result, 1), make(chan result, 1)
	work.Go(func() {
		data, err := s.pullFrom(ctx, c, limit, from)
		pulled <- result{data, err}
	})
	work.Go(func() {
		data, err := s.swap(ctx, c, limit)
		swapped <- result{data, err}
	})
	for {
		select {
		case r := <-pulled:
			if final(r.err) {
				return r.data, r.err
			}
		case r := <-swapped:
			return r.data, r.err
		}
	}
}

// isEmpty reports whether c is the CID of no bytes at all.
func isEmpty(c cid.Cid) bool {
	empty, err := c.Prefix().Sum(nil)
	return err == nil && c.Type() == cid.Raw && empty.Equals(c)
}

// dial connects to a peer that is said to have the content. If it can't be
// reached, another may have it.
func (s *Store) dial(ctx context.Context, id p2p.ID) {
	if id == s.node.ID() {
		return
	}
	_ = s.node.Host().Connect(network.WithAllowLimitedConn(ctx, "content"), peer.AddrInfo{ID: id})
}

// getter is a block service or a session of one.
type getter interface {
	GetBlock(context.Context, cid.Cid) (blocks.Block, error)
	GetBlocks(context.Context, []cid.Cid) <-chan blocks.Block
}

// errMissing is returned when the store alone lacks a block.
var errMissing = errors.New("a block is missing")

// piece is one place in a file where a block goes. Several places may have the
// same block.
type piece struct{ offset, size int64 }

// read puts the file c together, level by level of its tree, each level's
// blocks at once and in any order, unless its size is refused.
func read(ctx context.Context, from getter, c cid.Cid, size check) ([]byte, error) {
	first, err := from.GetBlock(ctx, c)
	if err != nil {
		if ipld.IsNotFound(err) {
			return nil, errMissing
		}
		return nil, err
	}
	root, err := decode(first)
	if err != nil {
		return nil, err
	}
	if err := size(root.size); err != nil {
		return nil, err
	}
	out := make([]byte, root.size)
	left := blocksFree + root.size/blockBytes
	next := make(map[cid.Cid][]piece)
	place := func(n *node, offset int64) error {
		offset += int64(copy(out[offset:], n.data))
		for _, c := range n.children {
			if left--; left < 0 {
				return fmt.Errorf("%w: too many blocks for %d bytes", ErrMalformed, root.size)
			}
			next[c.cid] = append(next[c.cid], piece{offset, c.size})
			offset += c.size
		}
		return nil
	}
	if err := place(root, 0); err != nil {
		return nil, err
	}
	// Leave no reader behind when a block is bad.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range maxDepth {
		if len(next) == 0 {
			return out, nil
		}
		level := next
		next = make(map[cid.Cid][]piece)
		for b := range from.GetBlocks(ctx, slices.Collect(maps.Keys(level))) {
			n, err := decode(b)
			if err != nil {
				return nil, err
			}
			for _, p := range level[b.Cid()] {
				if n.size != p.size {
					return nil, fmt.Errorf("%w: block %s has %d bytes, not %d", ErrMalformed, b.Cid(), n.size, p.size)
				}
				if err := place(n, p.offset); err != nil {
					return nil, err
				}
			}
			delete(level, b.Cid())
		}
		if len(level) > 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return nil, errMissing
		}
	}
	return nil, fmt.Errorf("%w: deeper than %d levels", ErrMalformed, maxDepth)
}
