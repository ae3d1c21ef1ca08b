package p2p

import (
	"fmt"
	"io"
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dstackless/dstackless/p2p/quota"
)

// resources divide what other peers take of this one, where libp2p counts it:
// connections, connections under handshake, memory of connections, streams, and
// streams of each protocol. libp2p's own limits come behind.
type resources struct {
	network.ResourceManager
	node *Node

	handshakes, conns, memory, streams *quota.Pool

	mu        sync.Mutex
	accepting map[string]io.Closer // what a TCP listener has just accepted, by its remote address
	addrs     map[ID][]netip.Addr  // of connections
	own       map[Protocol]bool    // this module serves them
	limited   map[Protocol]quota.Limits
	protocols map[Protocol]*quota.Pool
}

func newResources(n *Node) (*resources, error) {
	limits := libp2pLimits()
	inner, err := rcmgr.NewResourceManager(limits, libp2pOptions()...)
	if err != nil {
		return nil, err
	}
	memory := int(limits.GetSystemLimits().GetMemoryLimit())
	return &resources{
		ResourceManager: inner, node: n,
		handshakes: quota.New(quota.Limits{All: handshakesMax, Strangers: handshakesMax}),
		conns:      quota.New(shared(connsHighWater, 0)),
		memory:     quota.New(shared(memory, 0)),
		streams:    quota.New(shared(streamsMax, streamsOfPeerMax)),
		accepting:  map[string]io.Closer{},
		addrs:      map[ID][]netip.Addr{},
		own:        map[Protocol]bool{},
		limited:    map[Protocol]quota.Limits{},
		protocols:  map[Protocol]*quota.Pool{},
	}, nil
}

// errShared is why a peer gets no more of what is for all.
var errShared = fmt.Errorf("%w: it is shared by all peers", network.ErrResourceLimitExceeded)

// holder returns a peer as who takes from a pool.
func (r *resources) holder(id ID) quota.Holder {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := quota.Holder{Peer: string(id)}
	if addrs := r.addrs[id]; len(addrs) > 0 {
		h.Addr = addrs[0]
	}
	h.Known = r.node.known.has(id)
	return h
}

// protocol returns the pool of the streams of p.
func (r *resources) protocol(p Protocol) *quota.Pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	pool := r.protocols[p]
	if pool == nil {
		pool = quota.New(r.limits(p))
		r.protocols[p] = pool
	}
	return pool
}

// limits returns the limits of p. The lock is held.
func (r *resources) limits(p Protocol) quota.Limits {
	if l, ok := r.limited[p]; ok {
		return l
	}
	if l, ok := libraryProtocols[p]; ok {
		return l
	}
	if r.own[p] {
		return ownStreams
	}
	return libraryStreams
}

// serve notes that this module serves p itself.
func (r *resources) serve(p Protocol) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.own[p] {
		r.own[p] = true
		delete(r.protocols, p)
	}
}

// limit has streams of p be limited by l.
func (r *resources) limit(p Protocol, l quota.Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limited[p] = l
	delete(r.protocols, p)
}

// ipOf returns the first IP address in a. Of a relayed address it is the relay's.
func ipOf(a ma.Multiaddr) netip.Addr {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
