package content

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs/boxo/blockservice"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// A session of bitswap that has lost its peers in the middle of a file may ask
// nobody for the rest, for ever, though others have it: what it wants next it
// sends to the peers that it has, which are none, and to all only when it never
// had any. So one that brings nothing is ended, and another asks everybody anew.

// firstLull is how long a session may bring nothing. It doubles each time, up to
// lastLull: on a slow link one block may take that long.
const firstLull, lastLull = 2 * time.Second, time.Minute

// errLull is why a session is ended that brings nothing.
var errLull = errors.New("no block has come for a while")

// swap reads the file c by bitswap.
func (s *Store) swap(ctx context.Context, c cid.Cid, limit int64) ([]byte, error) {
	for lull := firstLull; ; lull = min(2*lull, lastLull) {
		data, err := s.swapOnce(ctx, c, limit, lull)
		if err != errLull {
			return data, err
		}
	}
}

// swapOnce is swap in one session, which may bring nothing for as long as a lull.
func (s *Store) swapOnce(ctx context.Context, c cid.Cid, limit int64, lull time.Duration) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(lull, func() { cancel(errLull) })
	defer timer.Stop()
	session := &watched{blockservice.NewSession(ctx, s.online), func() { timer.Reset(lull) }}
	data, err := read(ctx, session, c, s.fits(ctx, limit))
	if !final(err) && context.Cause(ctx) == errLull {
		err = errLull
	}
	return data, err
}

// watched is a getter that tells of each block.
type watched struct {
	getter
	came func()
}

func (w *watched) GetBlock(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	b, err := w.getter.GetBlock(ctx, c)
	w.came()
	return b, err
}

func (w *watched) GetBlocks(ctx context.Context, cids []cid.Cid) <-chan blocks.Block {
	out := make(chan blocks.Block)
	go func() {
		defer close(out)
		for b := range w.getter.GetBlocks(ctx, cids) {
			w.came()
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
