package content

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// bitswap ignores peers that are reached through a relay alone, and one of its
// blocks of 256 KiB is more than a relay carries. So blocks also have a protocol
// of their own, on the lasting streams of package p2p, which go on over the next
// connection when a relay cuts one.

const (
	// pullDelay is how long content is sought from the peers that a caller
	// named, before others that have it are pulled from through relays.
	pullDelay = time.Second
	// lastPullDelay is the most that lies between two rounds of looking for
	// relayed peers that have the content.
	lastPullDelay = 10 * time.Second
	// pullAhead is how many blocks are asked for before the first has come.
	pullAhead = 4
	// pullTimeout is how long one block may take: 256 KiB through relays that
	// each carry 128 KiB.
	pullTimeout = 2 * time.Minute
)

// errAside is the end of one way to get content that leaves the others.
var errAside = errors.New("no relayed peer has the content")

// pullFrom reads the file c from those of the peers that are reached through
// relays alone. Any error but ErrTooLarge and ErrMalformed leaves it to bitswap.
func (s *Store) pullFrom(ctx context.Context, c cid.Cid, limit int64, from []p2p.ID) ([]byte, error) {
	// Again and again, for a peer may lose its direct connection meanwhile.
	for wait := pullDelay; ; wait = min(2*wait, lastPullDelay) {
		for _, id := range from {
			s.dial(ctx, id)
			if data, err := s.pullOne(ctx, c, limit, id); final(err) {
				return data, err
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if s.dht == nil {
			continue
		}
		for id := range s.dht.Find(ctx, c) {
			s.dial(ctx, id)
			if data, err := s.pullOne(ctx, c, limit, id); final(err) {
				return data, err
			}
		}
	}
}

// final reports whether a result of one way to get content settles the matter.
func final(err error) bool {
	for _, e := range []error{ErrTooLarge, ErrMalformed, ErrFull, diskspace.ErrLow} {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}

// pullOne reads c from one peer, if that is reached through a relay.
func (s *Store) pullOne(ctx context.Context, c cid.Cid, limit int64, id p2p.ID) ([]byte, error) {
	if id == s.node.ID() || s.node.Host().Network().Connectedness(id) != network.Limited {
		return nil, errAside
	}
	stream, err := s.node.Open(ctx, id, Protocol)
	if err != nil {
		return nil, err
	}
	defer stream.Reset()
	defer context.AfterFunc(ctx, func() { stream.Reset() })()
	return read(ctx, &puller{store: s, stream: stream, r: bufio.NewReader(stream)}, c, s.fits(ctx, limit))
}

// A puller is a getter of blocks from one peer. Its calls follow each other.
type puller struct {
	store  *Store
	stream p2p.Stream
	r      *bufio.Reader
}

func (p *puller) GetBlock(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	for b := range p.GetBlocks(ctx, []cid.Cid{c}) {
		return b, nil
	}
	return nil, ipld.ErrNotFound{Cid: c}
}

// GetBlocks sends those blocks that are here or come. After an error, which is
// for a peer that lies or is gone, no more come.
func (p *puller) GetBlocks(ctx context.Context, cids []cid.Cid) <-chan blocks.Block {
	out := make(chan blocks.Block, pullAhead)
	go func() {
		defer close(out)
		give := func(b blocks.Block) bool {
			select {
			case out <- b:
				return true
			case <-ctx.Done():
				return false
			}
		}
		var missing []cid.Cid
		for _, c := range cids {
			b, err := p.store.offline.GetBlock(ctx, c)
			switch {
			case err != nil:
				missing = append(missing, c)
			case !give(b):
				return
			}
		}
		if err := p.pull(ctx, missing, give); err != nil {
			p.stream.Reset()
		}
	}()
	return out
}

// pull asks for blocks and gives those that come.
func (p *puller) pull(ctx context.Context, cids []cid.Cid, give func(blocks.Block) bool) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	room := make(chan struct{}, pullAhead)
	done := make(chan struct{})
	defer close(done)
	asking.Go(func() {
		for _, c := range cids {
			select {
			case room <- struct{}{}:
			case <-done:
				return
			}
			p.stream.SetWriteDeadline(time.Now().Add(pullTimeout))
			if _, err := p.stream.Write(appendWant(nil, c)); err != nil {
				return // the reader learns of it
			}
		}
	})
	for _, c := range cids {
		p.stream.SetReadDeadline(time.Now().Add(pullTimeout))
		data, err := readBlock(p.r)
		if err != nil {
			return err
		}
		<-room
		sum, err := c.Prefix().Sum(data)
		if err != nil || !sum.Equals(c) {
			return fmt.Errorf("%w: not the block %s", ErrMalformed, c)
		}
		b, err := blocks.NewBlockWithCid(data, c)
		if err != nil {
			return err
		}
		if err := p.store.online.AddBlock(ctx, b); err != nil {
			return err
		}
		if !give(b) {
			return ctx.Err()
		}
	}
	return nil
}
