package peertest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/marcopolo/simnet"

	"github.com/dstackless/dstackless"
)

// startTimeout is how long a peer may take to start and to find another one.
const startTimeout = 30 * time.Second

// Options are the settings of a [Network]. The zero value is a network of peers
// that keep nothing, on links that take no time.
type Options struct {
	// Seed decides over the peers' keys, and so over their IDs: the same seed
	// makes the same peers. Default: 0, a random one, which is logged.
	Seed uint64

	// QUIC has the peers connected by QUIC in place of TCP. A peer that is
	// killed is then missed by the others after 30 seconds of silence, as in
	// the world outside, or when it is back. Default: false.
	QUIC bool

	// Simulated has the peers connected by QUIC over a network that is in
	// memory alone, so that time may be virtual: see the package's doc.
	// Default: false.
	Simulated bool

	// Sparse has each peer be told of one other alone, the first that it can
	// reach, as in a network that grows: it has to find the rest. If that one is
	// killed at once, those who were told of it do not know of each other.
	// Default: false, each is connected to all others.
	Sparse bool

	// Latency is how long everything takes from one peer to another, one way.
	// Default: 0. [Network.Slow] sets that of one link.
	Latency time.Duration

	// Bandwidth is how many bytes per second pass from one peer to another,
	// each way. Default: 0, as many as the machine carries.
	Bandwidth int64

	// Peer may change the options with which peer i starts, each time that it
	// does. Those that say where it listens and whom it is told of are the
	// network's. Default: nil, peers that accept tasklets from everyone.
	Peer func(i int, o *dstackless.Options)
}

// A Network is a number of peers and the links between them. Make it with
// [New]. Its methods may be called from several goroutines at once. Methods
// that take the number of a peer panic if there is none.
type Network struct {
	t     testing.TB // or nil
	opts  Options
	nodes []*node
	ways  [][]*way // from, to
	air   *air     // of a simulation, or nil
	wg    sync.WaitGroup
	done  chan struct{} // closed when nothing more is carried

	mu     sync.Mutex
	owners map[endpoint]int  // which peer it is
	relays map[string]*relay // by the address that the peer dialed from
	closed bool
	front  *front

	closing sync.Once
}

// New starts n peers and returns when they are connected to each other. Nil opts
// stand for the defaults. The test's Cleanup closes the network; whatever goes
// wrong in it is fatal to the test.
//
// In an Example there is no test: t may be nil. Then the caller closes the
// network, and what goes wrong is a panic.
func New(t testing.TB, n int, opts *Options) *Network {
	enter(t)
	nw := &Network{t: t, owners: map[endpoint]int{}, relays: map[string]*relay{}, done: make(chan struct{})}
	nw.helper()
	if opts != nil {
		nw.opts = *opts
	}
	if nw.opts.Simulated {
		nw.opts.QUIC = true
		nw.air = &air{sockets: map[netip.AddrPort]*simnet.SimConn{}}
	}
	if nw.opts.Seed == 0 {
		nw.opts.Seed = rand.Uint64()
	}
	if t != nil {
		t.Logf("peertest: seed %d", nw.opts.Seed)
		t.Cleanup(nw.Close)
	}
	for from := range n {
		nw.nodes = append(nw.nodes, newNode(nw, from))
		nw.ways = append(nw.ways, nil)
		for range n {
			nw.ways[from] = append(nw.ways[from], newWay(nw.opts.Latency, nw.opts.Bandwidth))
		}
	}
	for i, nd := range nw.nodes {
		if err := nd.start(); err != nil {
			nw.fatal("start peer %d: %v", i, err)
		}
	}
	return nw
}

// Len returns how many peers the network has, those that were killed included.
func (nw *Network) Len() int { return len(nw.nodes) }

// Peer returns peer i, counted from 0. After [Network.Kill] it is the closed
// peer, after [Network.Restart] the new one.
func (nw *Network) Peer(i int) *dstackless.Peer { return nw.nodes[i].current() }

// Peers returns all peers, as [Network.Peer] does.
func (nw *Network) Peers() []*dstackless.Peer {
	var peers []*dstackless.Peer
	for _, nd := range nw.nodes {
		peers = append(peers, nd.current())
	}
	return peers
}

// Close closes all peers in good order, and checks that nothing is left of the
// network: the test fails if a goroutine that was begun for it, or by what the
// test did with it, still runs 5 seconds later. The goroutines of other tests,
// and those whose function is the test's own, are left out of it. Of several
// networks of one test the last to be closed checks for all. Close may be called
// more than once.
func (nw *Network) Close() {
	nw.helper()
	nw.closing.Do(func() {
		var closing sync.WaitGroup
		for _, nd := range nw.nodes {
			nd.currentGate().open()
			closing.Go(func() {
				if err := nd.close(); err != nil {
					nw.errorf("close peer %d: %v", nd.index, err)
				}
			})
		}
		closing.Wait()
		nw.mu.Lock()
		nw.closed = true
		front := nw.front
		nw.mu.Unlock()
		close(nw.done)
		nw.resetRelays(func(*relay) bool { return true })
		if front != nil {
			front.close()
		}
		nw.wg.Wait()
		if left := leave(nw.t); left != "" {
			nw.errorf("goroutines of the network are left after Close:\n%s", left)
		}
	})
}

func (nw *Network) helper() {
	if nw.t != nil {
		nw.t.Helper()
	}
}

func (nw *Network) fatal(format string, args ...any) {
	nw.helper()
	if nw.t == nil {
		panic("peertest: " + fmt.Sprintf(format, args...))
	}
	nw.t.Fatalf("peertest: "+format, args...)
}

func (nw *Network) errorf(format string, args ...any) {
	nw.helper()
	if nw.t == nil {
		panic("peertest: " + fmt.Sprintf(format, args...))
	}
	nw.t.Errorf("peertest: "+format, args...)
}
