package p2p

import (
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/p2p/quota"
)

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

	revoked atomic.Bool
	done    sync.Once

	mu            sync.Mutex   // guards what follows: a connection may end during its handshake
	ended         bool         // by Done
	handshake     *quota.Share // or nil
	share, memory *quota.Share // once the peer is known; share: if inbound
	peer          ID
}

// SetPeer is called at the end of the handshake.
func (c *connScope) SetPeer(id ID) error {
	if err := c.ConnManagementScope.SetPeer(id); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errShared
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if inner == nil || c.memory == nil {
		return inner
	}
	return &peerScope{inner, c.memory}
}

// cut ends the connection.
func (c *connScope) cut() {
	c.revoked.Store(true)
	n := c.resources.node
	n.work.Go(func() {
		if c.raw != nil {
			c.raw.Close()
			return
		}
		c.mu.Lock()
		peer := c.peer
		c.mu.Unlock()
		h := n.started.Load()
		if h == nil || peer == "" {
			return
		}
		for _, conn := range (*h).Network().ConnsToPeer(peer) {
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
		c.mu.Lock()
		c.ended = true
		shares, peer := []*quota.Share{c.handshake, c.share, c.memory}, c.peer
		c.mu.Unlock()
		for _, s := range shares {
			if s != nil {
				s.Return()
			}
		}
		r := c.resources
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.addrs[peer], c.addr); i >= 0 {
			r.addrs[peer] = slices.Delete(r.addrs[peer], i, i+1)
		}
		if len(r.addrs[peer]) == 0 {
			delete(r.addrs, peer)
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
