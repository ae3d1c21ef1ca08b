package p2p

import (
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/p2p/quota"
)

// relayClients are the peers that have a reservation at this relay, or may ask
// for one.
type relayClients struct {
	node *Node
	pool *quota.Pool
	ttl  time.Duration // of a reservation

	mu   sync.Mutex
	list map[ID]*relayClient
}

type relayClient struct {
	share *quota.Share
	until time.Time
}

func newRelayClients(n *Node, reservations int, ttl time.Duration) *relayClients {
	return &relayClients{node: n, pool: quota.New(shared(reservations, 1)), ttl: ttl, list: map[ID]*relayClient{}}
}

// AllowReserve is asked by libp2p's relay before a peer gets a reservation, or
// renews it. When there are too many, the one that loses its place is disconnected.
func (r *relayClients) AllowReserve(id ID, _ ma.Multiaddr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for id, c := range r.list {
		if now.After(c.until) {
			r.remove(id)
		}
	}
	c := r.list[id]
	if c == nil {
		share := r.pool.Take(r.node.Holder(id), 1, func() { r.node.work.Go(func() { r.dismiss(id) }) })
		if share == nil {
			return false
		}
		c = &relayClient{share: share}
		r.list[id] = c
	}
	c.until = now.Add(r.ttl)
	return true
}

// AllowConnect is asked before a peer is connected to one that has a reservation.
func (r *relayClients) AllowConnect(ID, ma.Multiaddr, ID) bool { return true }

// dismiss ends a reservation, by ending the connection that it is bound to.
func (r *relayClients) dismiss(id ID) {
	r.node.host.Network().ClosePeer(id)
	r.gone(id)
}

// gone is called when the last connection to a peer has ended.
func (r *relayClients) gone(id ID) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(id)
}

// remove forgets a client. The lock is held.
func (r *relayClients) remove(id ID) {
	if c := r.list[id]; c != nil {
		c.share.Return()
		delete(r.list, id)
	}
}
