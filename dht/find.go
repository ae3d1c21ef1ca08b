package dht

import (
	"context"
	"errors"
	"fmt"
	"iter"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/routing"

	"github.com/dstackless/dstackless/p2p"
)

// ErrNotFound is returned by [DHT.FindPeer] when nobody asked knows the peer.
var ErrNotFound = errors.New("peer not found")

// Find searches for the peers that announced key and yields each of them once,
// as soon as it is found, never this peer itself. Their addresses are then in
// the node's address book, so that p2p.Node.Open reaches them.
//
// The search ends when all peers nearest to the key have been asked, when ctx
// ends or the loop does; one that times out and one that finds nobody look the
// same. With no other peer in the table it ends at once. An announcement made
// just before may be missed: whoever counts on finding must search again.
//
// The sequence may be ranged over more than once; each time is a new search.
func (d *DHT) Find(ctx context.Context, key Key) iter.Seq[p2p.ID] {
	return func(yield func(p2p.ID) bool) {
		if !d.begin() {
			return
		}
		defer d.work.Done()
		ctx, cancel := d.until(ctx)
		found := d.kad.FindProvidersAsync(ctx, key, 0)
		defer func() {
			cancel()
			for range found { // the search is over when the channel is closed
			}
		}()
		seen := map[p2p.ID]bool{d.node.ID(): true}
		for info := range found {
			if seen[info.ID] { // told again, with its addresses this time
				continue
			}
			if d.withdrawals.has(info.ID) {
				continue
			}
			seen[info.ID] = true
			if !yield(info.ID) {
				return
			}
		}
	}
}

// FindPeer searches for the addresses of a peer and puts them in the node's
// address book. A peer that is connected is found at once.
//
// # Errors
//
// [ErrNotFound] when nobody knows it, which is so at once for a peer alone;
// p2p.ErrSelf, [ErrClosed], or the context's error.
func (d *DHT) FindPeer(ctx context.Context, id p2p.ID) error {
	if err := d.findPeer(ctx, id); err != nil {
		return fmt.Errorf("dht: find peer %s: %w", id, err)
	}
	return nil
}

// search asks for a peer, once for all that want it at the time. It goes on when
// ctx ends.
func (d *DHT) search(ctx context.Context, id p2p.ID) error {
	select {
	case r := <-d.searches.DoChan(string(id), func() (any, error) {
		if !d.begin() {
			return nil, ErrClosed
		}
		defer d.work.Done()
		ctx, cancel := context.WithTimeout(d.ctx, searchTimeout)
		defer cancel()
		return d.kad.FindPeer(ctx, id)
	}):
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *DHT) findPeer(ctx context.Context, id p2p.ID) error {
	if id == d.node.ID() {
		return p2p.ErrSelf
	}
	if !d.begin() {
		return ErrClosed
	}
	defer d.work.Done()
	err := d.search(ctx, id)
	switch {
	case err == nil && len(d.node.AddrsOf(id)) > 0:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case d.ctx.Err() != nil:
		return ErrClosed
	case err == nil, errors.Is(err, routing.ErrNotFound), errors.Is(err, kb.ErrLookupFailure):
		return ErrNotFound
	}
	return err
}
