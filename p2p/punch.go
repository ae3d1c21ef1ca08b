package p2p

import (
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// A series of attempts to punch a hole to a peer takes so long at most.
	punchSeries = 8 * time.Second
	// After a series that failed, there is none to that peer for a while,
	// doubled each time: libp2p would begin one on each relayed connection, and
	// a relay's limits make those many.
	firstPunchPause, lastPunchPause = 30 * time.Second, 10 * time.Minute
	// maxPunches is for how many peers that is remembered.
	maxPunches = 4096
)

// punches says when holes may be punched. It implements holepunch.AddrFilter:
// with no addresses left, there is no attempt.
type punches struct {
	mu    sync.Mutex
	peers map[ID]punchSeriesOf
}

type punchSeriesOf struct {
	began time.Time
	pause time.Duration
}

// FilterLocal returns addrs, or nothing while a pause lasts.
func (p *punches) FilterLocal(peer ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	if p.may(peer) {
		return addrs
	}
	return nil
}

// FilterRemote returns addrs.
func (p *punches) FilterRemote(_ ID, addrs []ma.Multiaddr) []ma.Multiaddr { return addrs }

func (p *punches) may(peer ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s, known := p.peers[peer]
	switch since := now.Sub(s.began); {
	case known && since < punchSeries:
		return true
	case known && since < s.pause:
		return false
	}
	if len(p.peers) >= maxPunches || p.peers == nil {
		p.peers = map[ID]punchSeriesOf{}
	}
	p.peers[peer] = punchSeriesOf{now, min(max(2*s.pause, firstPunchPause), lastPunchPause)}
	return true
}

// paused reports whether no hole is punched to the peer now.
func (p *punches) paused(peer ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.peers[peer]
	since := time.Since(s.began)
	return known && since >= punchSeries && since < s.pause
}

// forget ends all pauses: the network is another one.
func (p *punches) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers = nil
}
