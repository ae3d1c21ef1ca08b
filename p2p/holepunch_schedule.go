package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	// firstPunchRetryInterval is the first wait after an attempt that ended before
	// either side dialed, because one side does not know its public address yet. Such
	// an attempt costs a round trip. The wait doubles each time.
	firstPunchRetryInterval = 250 * time.Millisecond
	// firstPunchFailureInterval is the first wait after an attempt in which the peers
	// dialed and did not get through. The next attempt most likely fails as well
	// (arXiv 2510.27500). The wait is multiplied by four each time.
	firstPunchFailureInterval = 2 * time.Second
	// punchIntervalMax is the longest wait. Attempts never stop: only the peer knows
	// when it learns of a new public address.
	punchIntervalMax = 10 * time.Minute
	// punchedPeersMax is how many peers the schedule remembers.
	punchedPeersMax = 4096
)

// A punchSchedule says when the next attempt to punch a hole to each peer is due.
// Attempts are made while the peer is connected through a relay only, by the side
// that accepted the relayed connection (libp2p DCUtR).
type punchSchedule struct {
	mu    sync.Mutex
	peers map[ID]*punchState
	news  chan struct{} // closed, and replaced, when all may succeed anew
}

// punchState is the schedule of one peer.
type punchState struct {
	running     bool // a goroutine runs punch for the peer
	failed      bool // the current attempt came to a dial, which failed
	wait, pause time.Duration
	next        time.Time
}

// of returns the state of a peer. The caller holds p.mu.
func (p *punchSchedule) of(id ID) *punchState {
	s := p.peers[id]
	if s == nil {
		for other, s := range p.peers {
			if len(p.peers) < punchedPeersMax {
				break
			}
			if !s.running {
				delete(p.peers, other)
			}
		}
		if p.peers == nil {
			p.peers = map[ID]*punchState{}
		}
		s = &punchState{wait: firstPunchRetryInterval, pause: firstPunchFailureInterval}
		p.peers[id] = s
	}
	return s
}

// start reports whether no goroutine runs punch for the peer yet. From then on the
// caller does.
func (p *punchSchedule) start(id ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	was := s.running
	s.running = true
	return !was
}

// stop ends what start began, unless stay reports that there is more to do.
func (p *punchSchedule) stop(id ID, stay func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	s.running = stay()
	return !s.running
}

// next returns the time until the next attempt, and a channel that is closed when
// the attempt is due at once.
func (p *punchSchedule) next(id ID) (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.news == nil {
		p.news = make(chan struct{})
	}
	return time.Until(p.of(id).next), p.news
}

// dialFailed records that the node dialed the peer in an attempt, and failed.
func (p *punchSchedule) dialFailed(id ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(id).failed = true
}

// finished records the result of an attempt, and sets when the next one is due.
func (p *punchSchedule) finished(id ID, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	switch {
	case err == nil:
		s.wait, s.pause, s.next = firstPunchRetryInterval, firstPunchFailureInterval, time.Time{}
	case s.failed:
		s.next = time.Now().Add(s.pause)
		s.pause = min(4*s.pause, punchIntervalMax)
	default:
		s.next = time.Now().Add(s.wait)
		s.wait = min(2*s.wait, punchIntervalMax)
	}
	s.failed = false
}

// reset makes all attempts due at once: this node has a new public address.
func (p *punchSchedule) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range p.peers {
		p.peers[id] = &punchState{running: s.running, wait: firstPunchRetryInterval, pause: firstPunchFailureInterval}
	}
	if p.news != nil {
		close(p.news)
	}
	p.news = make(chan struct{})
}

// punch tries to make a direct connection to a peer while it is connected through a
// relay only.
func (n *Node) punch(id ID) {
	if n.puncher.service == nil || n.inboundRelayed(id) == nil || !n.punchTimes.start(id) {
		return
	}
	inward := func() bool {
		return n.ctx.Err() == nil && n.host.Network().Connectedness(id) == network.Limited && n.inboundRelayed(id) != nil
	}
	for {
		pause, news := n.punchTimes.next(id)
		select {
		case <-time.After(pause):
		case <-news:
			continue
		case <-n.ctx.Done():
		}
		c := n.inboundRelayed(id)
		if c == nil || !inward() {
			if n.punchTimes.stop(id, inward) {
				return
			}
			continue
		}
		select { // identify may bring the public address that is needed
		case <-n.puncher.identify.IdentifyWait(c):
		case <-n.ctx.Done():
			continue
		}
		err := n.puncher.service.DirectConnect(id)
		if err != nil {
			n.log.Debug("hole punch failed", "peer", id, "error", oneLine(err))
		}
		n.punchTimes.finished(id, err)
	}
}
