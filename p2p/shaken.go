package p2p

import (
	"maps"
	"sync"
	"time"
)

const (
	// movedTime is how long it may take, after this machine changed its
	// addresses, until the ways to others are back: what is dead is noticed,
	// relays are found again, others learn of it.
	movedTime = 15 * time.Second
	// lostTime is the same after a connection was lost. Most of those who are
	// not back then do not come back.
	lostTime = 5 * time.Second
	// restartTime is the same if nobody listens where the peer was, see
	// errNobody: it has ended, and may be started again.
	restartTime = time.Second
)

// shocks are what was lost a moment ago.
type shocks struct {
	mu    sync.Mutex
	all   time.Time        // when this machine changed its addresses
	peers map[ID]time.Time // when the connection to a peer was lost
}

// lost notes that there is no connection to the peer any more.
func (s *shocks) lost(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers == nil {
		s.peers = map[ID]time.Time{}
	}
	maps.DeleteFunc(s.peers, func(_ ID, at time.Time) bool { return time.Since(at) > lostTime })
	s.peers[id] = time.Now()
}

// moved notes that this machine changed its addresses.
func (s *shocks) moved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = time.Now()
}

// movedLately reports whether this machine changed its addresses a moment ago.
func (s *shocks) movedLately() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.all) < movedTime
}

// felt reports whether the way to the peer was lost a moment ago, so that it may
// come back.
func (s *shocks) felt(id ID, nobody bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	soon := lostTime
	if nobody {
		soon = restartTime
	}
	return time.Since(s.all) < movedTime || time.Since(s.peers[id]) < soon
}
