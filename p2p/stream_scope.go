package p2p

import (
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p/quota"
)

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
	n.work.Go(func() {
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
