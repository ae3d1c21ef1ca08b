package content

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// served limits the streams that are served in [Protocol], each with a block.
var served = quota.Limits{All: 128, Strangers: 96, Each: 8}

// swapped limits the streams of each protocol of bitswap that others have opened.
// A peer brings each message with blocks on a stream of its own, never again, and
// may be faster than they are taken in. So of one peer swappedOfOne are heard at a
// time, and the others wait for swapPatience.
var swapped = quota.Limits{All: 8192, Strangers: 6144, Each: 1024}

const (
	swappedOfOne = 8
	swapPatience = time.Minute
	// maxSwap is how long a message of bitswap may be: what its own reader takes.
	maxSwap = network.MessageSizeMax
)

// turns let each peer do so many things at a time. The others wait.
type turns struct {
	ofOne int

	mu   sync.Mutex
	left sync.Cond // somebody has
	of   map[p2p.ID]int
}

func newTurns(ofOne int) *turns {
	t := &turns{ofOne: ofOne, of: map[p2p.ID]int{}}
	t.left.L = &t.mu
	return t
}

// wait waits for the turn of a peer, and reports whether that has come before ctx
// ends.
func (t *turns) wait(ctx context.Context, id p2p.ID) bool {
	defer context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.left.Broadcast()
	})()
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil {
		if t.of[id] < t.ofOne {
			t.of[id]++
			return true
		}
		t.left.Wait()
	}
	return false
}

func (t *turns) leave(id p2p.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[id]--; t.of[id] == 0 {
		delete(t.of, id)
	}
	t.left.Broadcast()
}

// boundedHost is the host as bitswap sees it, which itself would wait for ever for
// the rest of what a peer has begun to say, with 4 MiB of memory for it.
type boundedHost struct {
	host.Host
	node  *p2p.Node
	ctx   context.Context // ends with the store
	turns *turns
}

func (h boundedHost) SetStreamHandler(p p2p.Protocol, handle network.StreamHandler) {
	h.node.Limit(p, swapped)
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		id := s.Conn().RemotePeer()
		ctx, cancel := context.WithTimeout(h.ctx, swapPatience)
		defer cancel()
		if !h.turns.wait(ctx, id) {
			s.Reset()
			return
		}
		defer h.turns.leave(id)
		handle(h.node.WholeMessages(boundedStream{s}, maxSwap))
	})
}

// boundedStream is a stream on which something must come every pullTimeout. A
// peer that is quiet for longer opens another when it has something to say.
type boundedStream struct{ network.Stream }

func (s boundedStream) Read(b []byte) (int, error) {
	if err := s.SetReadDeadline(time.Now().Add(pullTimeout)); err != nil {
		return 0, err
	}
	return s.Stream.Read(b)
}
