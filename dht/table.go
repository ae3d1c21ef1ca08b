package dht

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
)

// joinedDebounce is the least time between two calls of a Joined function: peers come
// in bursts.
const joinedDebounce = 200 * time.Millisecond

// table learns which peers are in kad-dht's routing table.
//
// The routing table has fields for that, functions that it calls, but they
// can't be set without a race once it runs, and kad-dht runs it before it
// returns. What kad-dht's own functions do is tag the peer in the host's
// connection manager, so table stands between the two and reads the tags.
type table struct {
	mu      sync.Mutex
	members map[p2p.ID]bool
	filled  chan struct{} // closed, and replaced, when members is no longer empty
	calls   []*func()

	joined chan struct{} // holds one token after a peer came
}

func newTable() *table {
	return &table{
		members: make(map[p2p.ID]bool),
		filled:  make(chan struct{}),
		joined:  make(chan struct{}, 1),
	}
}

func (t *table) add(id p2p.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.members[id] {
		return
	}
	t.members[id] = true
	if len(t.members) == 1 {
		close(t.filled)
		t.filled = make(chan struct{})
	}
	select {
	case t.joined <- struct{}{}:
	default:
	}
}

func (t *table) remove(id p2p.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.members, id)
}

func (t *table) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.members) == 0
}

// fills returns a channel that is closed the next time the table goes from
// empty to not empty.
func (t *table) fills() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.filled
}

// callJoined calls the Joined functions after peers came, until ctx ends.
func (t *table) callJoined(ctx context.Context) {
	pause := time.NewTimer(joinedDebounce)
	defer pause.Stop()
	for {
		select {
		case <-t.joined:
		case <-ctx.Done():
			return
		}
		t.mu.Lock()
		calls := slices.Clone(t.calls)
		t.mu.Unlock()
		for _, f := range calls {
			t.mu.Lock()
			current := slices.Contains(t.calls, f)
			t.mu.Unlock()
			if current && ctx.Err() == nil {
				(*f)()
			}
		}
		pause.Reset(joinedDebounce)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// Joined calls f each time a peer has entered the routing table: a search that found
// nothing before may succeed now. The first call comes at once, later ones
// at most 5 times a second, each for all peers that came since. Register before
// searching, so as to miss nobody. f should return soon: it delays the others.
//
// The returned stop ends it; it doesn't wait for a call that runs.
func (d *DHT) Joined(f func()) (stop func()) {
	t := d.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, &f)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.calls = slices.DeleteFunc(t.calls, func(x *func()) bool { return x == &f })
	}
}

// host returns the node's host with a connection manager that updates t.
func (t *table) host(n *p2p.Node, w *withdrawals) host.Host {
	return &tableHost{n.Host(), n, &tableConnManager{n.Host().ConnManager(), t}, w}
}

// tableHost is the host as kad-dht sees it, which itself would take 4 MiB of
// memory for each message that somebody announces.
type tableHost struct {
	host.Host
	node        *p2p.Node
	manager     *tableConnManager
	withdrawals *withdrawals
}

const (
	// requestMaxBytes is how long a message may be that asks this peer, in bytes: one
	// record of a provider, with its addresses, and not a list that takes a
	// hundred times as much memory when it is decoded.
	requestMaxBytes = 64 << 10
	// responseMaxBytes is how long an answer may be, in bytes: peersOfKeyMax providers.
	responseMaxBytes = 512 << 10
)

// SetStreamHandler calls handle with streams that deliver whole messages, and on
// which no records of peers that have ended are sent.
func (h *tableHost) SetStreamHandler(p p2p.Protocol, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		handle(&answerStream{Stream: h.node.WholeMessages(s, requestMaxBytes), withdrawals: h.withdrawals})
	})
}

// NewStream opens a stream, over a relay if there is nothing better. libp2p's own
// would wait for something better until ctx ends, and a search would stand still.
func (h *tableHost) NewStream(ctx context.Context, to p2p.ID, protocols ...p2p.Protocol) (network.Stream, error) {
	s, err := h.Host.NewStream(network.WithAllowLimitedConn(ctx, "dht"), to, protocols...)
	if err != nil {
		return nil, err
	}
	return h.node.WholeMessages(s, responseMaxBytes), nil
}

func (h *tableHost) ConnManager() connmgr.ConnManager { return h.manager }

// memberTag is kad-dht's tag for the peers in its routing table.
const memberTag = "kbucket"

type tableConnManager struct {
	connmgr.ConnManager
	table *table
}

func (m *tableConnManager) Protect(id p2p.ID, tag string) {
	m.ConnManager.Protect(id, tag)
	if tag == memberTag {
		m.table.add(id)
	}
}

func (m *tableConnManager) TagPeer(id p2p.ID, tag string, value int) {
	m.ConnManager.TagPeer(id, tag, value)
	if tag == memberTag {
		m.table.add(id)
	}
}

func (m *tableConnManager) UntagPeer(id p2p.ID, tag string) {
	m.ConnManager.UntagPeer(id, tag)
	if tag == memberTag {
		m.table.remove(id)
	}
}
