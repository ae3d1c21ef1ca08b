package p2p

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

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
		handshakes: quota.New(quota.Limits{All: maxHandshakes, Strangers: maxHandshakes}),
		conns:      quota.New(shared(manyConnections, 0)),
		memory:     quota.New(shared(memory, 0)),
		streams:    quota.New(shared(streamsOfAll, streamsOfPeer)),
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

// accept notes a connection that a listener has accepted, before its handshake.
func (r *resources) accept(c network.ConnMultiaddrs) {
	closer, ok := c.(io.Closer)
	if _, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_TCP); !ok || err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepting[c.RemoteMultiaddr().String()] = closer
}

// accepted returns what accept noted, once.
func (r *resources) accepted(remote ma.Multiaddr) io.Closer {
	key := remote.String()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.accepting[key]
	delete(r.accepting, key)
	return c
}

// OpenConnection implements [network.ResourceManager].
func (r *resources) OpenConnection(dir network.Direction, fd bool, remote ma.Multiaddr) (network.ConnManagementScope, error) {
	raw := r.accepted(remote)
	inner, err := r.ResourceManager.OpenConnection(dir, fd, remote)
	if err != nil {
		return nil, err
	}
	c := &connScope{ConnManagementScope: inner, resources: r, inbound: dir == network.DirInbound, addr: ipOf(remote), raw: raw}
	if c.inbound {
		c.handshake = r.handshakes.Take(quota.Holder{Peer: remote.String(), Addr: c.addr}, 1, c.cut)
		if c.handshake == nil {
			inner.Done()
			return nil, errShared
		}
	}
	return c, nil
}

// A connScope is the part of one connection.
type connScope struct {
	network.ConnManagementScope
	resources *resources
	inbound   bool
	addr      netip.Addr
	raw       io.Closer // below the handshake, or nil

	handshake     *quota.Share // or nil
	share, memory *quota.Share // once the peer is known; share: if inbound
	peer          ID
	revoked       atomic.Bool
	done          sync.Once
}

// SetPeer is called at the end of the handshake.
func (c *connScope) SetPeer(id ID) error {
	if err := c.ConnManagementScope.SetPeer(id); err != nil {
		return err
	}
	r := c.resources
	r.mu.Lock()
	r.addrs[id] = append(r.addrs[id], c.addr)
	r.mu.Unlock()
	c.peer = id
	h := r.holder(id)
	h.Addr = c.addr
	c.memory = r.memory.Open(h, c.cut)
	if !c.inbound {
		return nil
	}
	c.handshake.Return()
	if c.share = r.conns.Take(h, 1, c.cut); c.share == nil || c.revoked.Load() {
		return errShared
	}
	return nil
}

// PeerScope implements [network.ConnManagementScope].
func (c *connScope) PeerScope() network.PeerScope {
	inner := c.ConnManagementScope.PeerScope()
	if inner == nil || c.memory == nil {
		return inner
	}
	return &peerScope{inner, c.memory}
}

// cut ends the connection.
func (c *connScope) cut() {
	c.revoked.Store(true)
	n := c.resources.node
	n.spawn(func() {
		if c.raw != nil {
			c.raw.Close()
			return
		}
		h := n.started.Load()
		if h == nil || c.peer == "" {
			return
		}
		for _, conn := range (*h).Network().ConnsToPeer(c.peer) {
			if conn.Scope() == network.ConnScope(c) {
				conn.Close()
			}
		}
	})
}

// Done implements [network.ResourceScopeSpan].
func (c *connScope) Done() {
	c.ConnManagementScope.Done()
	c.done.Do(func() {
		for _, s := range []*quota.Share{c.handshake, c.share, c.memory} {
			if s != nil {
				s.Return()
			}
		}
		r := c.resources
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.addrs[c.peer], c.addr); i >= 0 {
			r.addrs[c.peer] = slices.Delete(r.addrs[c.peer], i, i+1)
		}
		if len(r.addrs[c.peer]) == 0 {
			delete(r.addrs, c.peer)
		}
	})
}

// A peerScope is where a connection's multiplexer counts the memory of streams.
type peerScope struct {
	network.PeerScope
	memory *quota.Share
}

// BeginSpan implements [network.ResourceScope].
func (p *peerScope) BeginSpan() (network.ResourceScopeSpan, error) {
	inner, err := p.PeerScope.BeginSpan()
	if err != nil {
		return nil, err
	}
	return &memorySpan{ResourceScopeSpan: inner, memory: p.memory}, nil
}

// A memorySpan is the memory of one stream.
type memorySpan struct {
	network.ResourceScopeSpan
	memory *quota.Share

	mu   sync.Mutex
	size int
}

// ReserveMemory implements [network.ResourceScope].
func (m *memorySpan) ReserveMemory(size int, priority uint8) error {
	if !m.memory.Grow(size) {
		return errShared
	}
	if err := m.ResourceScopeSpan.ReserveMemory(size, priority); err != nil {
		m.memory.Shrink(size)
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size += size
	return nil
}

// ReleaseMemory implements [network.ResourceScope].
func (m *memorySpan) ReleaseMemory(size int) {
	m.ResourceScopeSpan.ReleaseMemory(size)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size -= size
	m.memory.Shrink(size)
}

// Done implements [network.ResourceScopeSpan].
func (m *memorySpan) Done() {
	m.ResourceScopeSpan.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memory.Shrink(m.size)
	m.size = 0
}

// OpenStream implements [network.ResourceManager].
func (r *resources) OpenStream(id ID, dir network.Direction) (network.StreamManagementScope, error) {
	inner, err := r.ResourceManager.OpenStream(id, dir)
	if err != nil || dir != network.DirInbound {
		return inner, err
	}
	s := &streamScope{StreamManagementScope: inner, resources: r, peer: id}
	if s.share = r.streams.Take(r.holder(id), 1, s.reset); s.share == nil {
		inner.Done()
		return nil, errShared
	}
	return s, nil
}

// A streamScope is the part of one stream that a peer has opened.
type streamScope struct {
	network.StreamManagementScope
	resources *resources
	peer      ID

	share   *quota.Share
	revoked atomic.Bool

	mu         sync.Mutex
	done       bool
	ofProtocol *quota.Share // or nil
}

// SetProtocol is called when the peer has said which protocol it speaks.
func (s *streamScope) SetProtocol(p Protocol) error {
	if err := s.StreamManagementScope.SetProtocol(p); err != nil {
		return err
	}
	r := s.resources
	share := r.protocol(p).Take(r.holder(s.peer), 1, s.reset)
	if share == nil {
		return errShared
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || s.revoked.Load() {
		share.Return()
		return errShared
	}
	s.ofProtocol = share
	return nil
}

// reset ends the stream.
func (s *streamScope) reset() {
	s.revoked.Store(true)
	n := s.resources.node
	n.spawn(func() {
		h := n.started.Load()
		if h == nil {
			return
		}
		for _, c := range (*h).Network().ConnsToPeer(s.peer) {
			for _, stream := range c.GetStreams() {
				if stream.Scope() == network.StreamScope(s) {
					stream.Reset()
				}
			}
		}
	})
}

// Done implements [network.ResourceScopeSpan].
func (s *streamScope) Done() {
	s.StreamManagementScope.Done()
	s.share.Return()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if s.ofProtocol != nil {
		s.ofProtocol.Return()
	}
}
