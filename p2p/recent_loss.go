package p2p

import (
	"maps"
	"sync"
	"time"
)

const (
	// addrChangeTimeout is how long connections may take to come back after this
	// machine's addresses changed: dead ones are detected, relays are found again,
	// and other peers learn the new addresses.
	addrChangeTimeout = 15 * time.Second
	// connLossTimeout is the same after a connection was lost. Most peers that are
	// not back by then do not come back.
	connLossTimeout = 5 * time.Second
	// restartTimeout is the same if all addresses of the peer refuse connections,
	// see errRefused: its process has ended, and may be started again.
	restartTimeout = time.Second
)

// recentLosses remembers which connections were lost a moment ago.
type recentLosses struct {
	mu             sync.Mutex
	addrsChangedAt time.Time        // when this machine changed its addresses
	peers          map[ID]time.Time // when the connection to a peer was lost
}

// peerLost records that the last connection to a peer was lost.
func (s *recentLosses) peerLost(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers == nil {
		s.peers = map[ID]time.Time{}
	}
	maps.DeleteFunc(s.peers, func(_ ID, at time.Time) bool { return time.Since(at) > connLossTimeout })
	s.peers[id] = time.Now()
}

// addrsChanged records that this machine's addresses changed.
func (s *recentLosses) addrsChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addrsChangedAt = time.Now()
}

// addrsChangedRecently reports whether this machine's addresses changed within
// addrChangeTimeout.
func (s *recentLosses) addrsChangedRecently() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.addrsChangedAt) < addrChangeTimeout
}

// mayReturn reports whether the connection to a peer was lost so recently that it
// may come back. refused says that all its addresses refuse connections.
func (s *recentLosses) mayReturn(id ID, refused bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	soon := connLossTimeout
	if refused {
		soon = restartTimeout
	}
	return time.Since(s.addrsChangedAt) < addrChangeTimeout || time.Since(s.peers[id]) < soon
}
