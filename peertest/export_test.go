package peertest

import (
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/dstackless/dstackless/channel/network"
)

// Scan returns the names of the frames that begin and end in what is said on a
// stream of channels, of which each element of said comes at once.
func Scan(said [][]byte) (begin, end []Frame) {
	l, _ := spoken(network.Protocol)
	s := newScanner(l)
	for _, b := range said {
		for len(b) > 0 {
			n, begins, ends := s.next(b)
			b = b[n:]
			if begins {
				begin = append(begin, s.frame)
			}
			if ends {
				end = append(end, s.frame)
			}
		}
	}
	return begin, end
}

// Host returns the libp2p host of peer i, which runs.
func (nw *Network) Host(i int) host.Host { return nw.nodes[i].running() }
