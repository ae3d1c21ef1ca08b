package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	// What could not even be tried, because one side does not know yet where it
	// is seen, costs a round trip. It is tried again after this time, doubled
	// each time.
	firstPunchWait = 250 * time.Millisecond
	// An attempt that failed took seconds and some packets, and the next one
	// will most likely fail as well (arXiv 2510.27500). There is another after
	// this time, four times as much each time.
	firstPunchPause = 2 * time.Second
	// lastPunchPause is the longest pause. Without end, because what a peer
	// learns of where it is seen, only that peer knows.
	lastPunchPause = 10 * time.Minute
	// maxPunches is for how many peers this is remembered.
	maxPunches = 4096
)

// punches say when holes are punched: to each peer as long as it is connected
// through a relay only, by the side to which the relayed connection was made,
// as the protocol wants it (libp2p DCUtR).
type punches struct {
	mu    sync.Mutex
	peers map[ID]*punching
	news  chan struct{} // closed, and replaced, when all may succeed anew
}

// punching is what is remembered of one peer.
type punching struct {
	running     bool // a goroutine follows the peer
	failed      bool // an attempt was made since the last look
	wait, pause time.Duration
	next        time.Time
}

// of returns what is known of a peer. The caller holds p.mu.
func (p *punches) of(id ID) *punching {
	s := p.peers[id]
	if s == nil {
		for other, s := range p.peers {
			if len(p.peers) < maxPunches {
				break
			}
			if !s.running {
				delete(p.peers, other)
			}
		}
		if p.peers == nil {
			p.peers = map[ID]*punching{}
		}
		s = &punching{wait: firstPunchWait, pause: firstPunchPause}
		p.peers[id] = s
	}
	return s
}

// enter reports whether nobody follows the peer yet. The caller does from then on.
func (p *punches) enter(id ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	was := s.running
	s.running = true
	return !was
}

// leave ends what enter began, unless stay reports that there is more to do.
func (p *punches) leave(id ID, stay func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	s.running = stay()
	return !s.running
}

// due returns when the next attempt is, and what tells that it is now.
func (p *punches) due(id ID) (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.news == nil {
		p.news = make(chan struct{})
	}
	return time.Until(p.of(id).next), p.news
}

// tried notes that the node dialed the peer for a hole, and did not get through.
func (p *punches) tried(id ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(id).failed = true
}

// ended notes how an attempt ended, and says when there is another.
func (p *punches) ended(id ID, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(id)
	switch {
	case err == nil:
		s.wait, s.pause, s.next = firstPunchWait, firstPunchPause, time.Time{}
	case s.failed:
		s.next = time.Now().Add(s.pause)
		s.pause = min(4*s.pause, lastPunchPause)
	default:
		s.next = time.Now().Add(s.wait)
		s.wait = min(2*s.wait, lastPunchPause)
	}
	s.failed = false
}

// again ends all pauses: this node is seen at another place now.
func (p *punches) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range p.peers {
		p.peers[id] = &punching{running: s.running, wait: firstPunchWait, pause: firstPunchPause}
	}
	if p.news != nil {
		close(p.news)
	}
	p.news = make(chan struct{})
}

// punch gets the peer off the relay, as long as it is on one.
func (n *Node) punch(id ID) {
	if n.holes.service == nil || n.inward(id) == nil || !n.punches.enter(id) {
		return
	}
	inward := func() bool {
		return n.ctx.Err() == nil && n.host.Network().Connectedness(id) == network.Limited && n.inward(id) != nil
	}
	for {
		pause, news := n.punches.due(id)
		select {
		case <-time.After(pause):
		case <-news:
			continue
		case <-n.ctx.Done():
		}
		c := n.inward(id)
		if c == nil || !inward() {
			if n.punches.leave(id, inward) {
				return
			}
			continue
		}
		select { // what the peer says of itself may be all that is needed
		case <-n.holes.identify.IdentifyWait(c):
		case <-n.ctx.Done():
			continue
		}
		err := n.holes.service.DirectConnect(id)
		if err != nil {
			n.log.Debug("no hole", "peer", id, "reason", oneLine(err))
		}
		n.punches.ended(id, err)
	}
}
