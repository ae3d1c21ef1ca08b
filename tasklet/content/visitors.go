package content

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// maxServed is how many streams are served at a time in [Protocol], and
	// servedOfOne how many of them to one peer.
	maxServed, servedOfOne = 256, 8
	// swappedOfOne is how many streams of bitswap of one peer are heard at a time;
	// bitswap takes 4 MiB for each on the word of a length. A peer brings each
	// message with blocks on a stream of its own, never again, and may be faster
	// than they are taken in: so the others wait, for swapPatience.
	swappedOfOne = 16
	swapPatience = time.Minute
)

// visitors count the streams that other peers have here.
type visitors struct {
	max, ofOne int

	mu   sync.Mutex
	left sync.Cond // somebody has
	all  int
	of   map[p2p.ID]int
}

func newVisitors(max, ofOne int) *visitors {
	v := &visitors{max: max, ofOne: ofOne, of: map[p2p.ID]int{}}
	v.left.L = &v.mu
	return v
}

// enter reports whether there is room for one more stream of a peer.
func (v *visitors) enter(id p2p.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.admit(id)
}

// admit is enter. The lock is held.
func (v *visitors) admit(id p2p.ID) bool {
	if v.all >= v.max || v.of[id] >= v.ofOne {
		return false
	}
	v.all++
	v.of[id]++
	return true
}

// wait waits for room for one more stream of a peer, and reports whether there is
// some before ctx ends.
func (v *visitors) wait(ctx context.Context, id p2p.ID) bool {
	defer context.AfterFunc(ctx, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.left.Broadcast()
	})()
	v.mu.Lock()
	defer v.mu.Unlock()
	for ctx.Err() == nil {
		if v.admit(id) {
			return true
		}
		v.left.Wait()
	}
	return false
}

func (v *visitors) leave(id p2p.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all--
	if v.of[id]--; v.of[id] == 0 {
		delete(v.of, id)
	}
	v.left.Broadcast()
}

// boundedHost is the host as bitswap sees it, which itself would wait for ever for
// the rest of what a peer has begun to say.
type boundedHost struct {
	host.Host
	ctx      context.Context // ends with the store
	visitors *visitors
}

func (h boundedHost) SetStreamHandler(p p2p.Protocol, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		id := s.Conn().RemotePeer()
		ctx, cancel := context.WithTimeout(h.ctx, swapPatience)
		defer cancel()
		if !h.visitors.wait(ctx, id) {
			s.Reset()
			return
		}
		defer h.visitors.leave(id)
		handle(boundedStream{s})
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
