package content

import (
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
	// swappedOfOne is how many streams of bitswap one peer may have here. It
	// needs one; and bitswap takes 4 MiB for each on the word of a length.
	swappedOfOne = 16
)

// visitors count the streams that other peers have here.
type visitors struct {
	max, ofOne int

	mu  sync.Mutex
	all int
	of  map[p2p.ID]int
}

func newVisitors(max, ofOne int) *visitors {
	return &visitors{max: max, ofOne: ofOne, of: map[p2p.ID]int{}}
}

// enter reports whether there is room for one more stream of a peer.
func (v *visitors) enter(id p2p.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all >= v.max || v.of[id] >= v.ofOne {
		return false
	}
	v.all++
	v.of[id]++
	return true
}

func (v *visitors) leave(id p2p.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all--
	if v.of[id]--; v.of[id] == 0 {
		delete(v.of, id)
	}
}

// boundedHost is the host as bitswap sees it, which itself would wait for ever for
// the rest of what a peer has begun to say.
type boundedHost struct {
	host.Host
	visitors *visitors
}

func (h boundedHost) SetStreamHandler(p p2p.Protocol, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		id := s.Conn().RemotePeer()
		if !h.visitors.enter(id) {
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
