package network

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// searchTime is how long a channel that was opened waits for a home to
	// be found before this peer becomes it.
	searchTime = 2 * time.Second

	// rejoinTime is how long a lost home is sought before this peer takes
	// its place.
	rejoinTime = time.Second

	// maxDialing is how many peers that are not connected one search for a
	// home asks at a time.
	maxDialing = 512

	// maxLost is how many claims of the last generation are refused: to
	// forget one costs no more than to seek its home again.
	maxLost = 256
)

// begin looks for the channel's home, until one of the peers that announced the
// channel's key has told who that is; if there is none, this peer becomes it.
func (m *member) begin() {
	ctx, cancel := context.WithTimeout(m.space.ctx, searchTime)
	defer cancel()
	m.mu.Lock()
	m.claimed = cancel
	claimed := m.claim.home != ""
	m.mu.Unlock()
	if !claimed {
		m.meet(ctx)
	}
	m.mu.Lock()
	defer m.unlock()
	m.claimed = nil
	if m.claim.home == "" && !m.gone {
		m.adopt(claim{1, m.self()}, nil)
	}
}

// meet says hello to all who announced the channel's key, and waits for their
// answers. Many will be gone, and a liar in the table may name thousands who never
// were: many are dialed at once.
func (m *member) meet(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	room := make(chan struct{}, maxDialing)
	for id := range m.space.dht.Find(ctx, m.record) {
		if m.space.to(id) != nil {
			asked.Go(func() { m.ask(ctx, id) })
			continue
		}
		select {
		case room <- struct{}{}:
			asked.Go(func() { m.ask(ctx, id); <-room })
		case <-ctx.Done():
			return
		}
	}
}

// ask says hello to a peer and waits for its answer.
func (m *member) ask(ctx context.Context, id p2p.ID) {
	sn, err := m.space.dial(ctx, id)
	if err != nil {
		return // a stale record
	}
	m.mu.Lock()
	t := m.tie(sn)
	if t != nil && (!t.said || t.claim != m.claim) {
		m.greet(sn, t)
	}
	m.unlock()
	if t != nil {
		select {
		case <-t.heard:
		case <-sn.finished:
		case <-ctx.Done():
		}
	}
}

// greet tells the other side of s whom this one takes for the home.
func (m *member) greet(s *session, t *tie) {
	t.said, t.claim = true, m.claim
	f := frame{
		kind: hello, number: m.number, claim: m.claim,
		key: m.key, proof: prove(m.secret, m.self(), s.peer),
	}
	if m.claim.home != "" && !m.isHome() {
		f.addrs = m.space.node.AddrsOf(m.claim.home)
	}
	s.send(f)
	m.tellShut(s, t)
}

// greetOnce makes sure that the other side knows this one's number.
func (m *member) greetOnce(s *session) {
	if t := m.tie(s); t != nil && !t.said {
		m.greet(s, t)
	}
}

// onHello: another peer has the channel open. Whoever knows of a better claim
// tells the other.
func (m *member) onHello(s *session, f *frame) {
	m.mu.Lock()
	defer m.unlock()
	t := m.tie(s)
	if t == nil {
		return
	}
	t.hear()
	if f.claim.home != "" && !m.lostHomes[f.claim] && (m.claim.home == "" || f.claim.better(m.claim, m.key)) {
		m.adopt(f.claim, f.addrs)
		m.teller = s.peer
	}
	worse := f.claim.home != "" && m.claim.better(f.claim, m.key)
	if !t.said || f.claim != m.claim && (t.claim != m.claim || worse) {
		m.greet(s, t)
	}
	if m.isHome() && f.claim == m.claim && !t.joins {
		t.joins, m.heirless = true, true
	}
	if m.claim.home == s.peer && m.home == nil {
		m.join(s, t)
	}
}

// onUnknown: the other side does not have the channel open.
func (m *member) onUnknown(s *session) {
	m.mu.Lock()
	defer m.unlock()
	if t := m.ties[s]; t != nil {
		t.hear()
		m.onLeave(s, t)
	}
}

// onLeave: the other side has nothing more to do with the channel. What it
// did not answer, it did not take.
func (m *member) onLeave(s *session, t *tie) {
	delete(m.ties, s)
	s.untie(m)
	m.dissolve(s, t)
	m.strand(s, t, true)
	wasHome := m.home == s || m.home == nil && m.claim.home == s.peer
	if m.home == s {
		m.home = nil
		m.unregisterAll()
	}
	if wasHome && !m.gone {
		m.succeed()
	}
	for _, op := range m.exposed {
		if !op.offered || op.offer.via != s {
			continue
		}
		switch {
		case op.offer.again && op.offer.to != s.peer:
			m.lose(op)
		case op.offer.again: // it may have been taken before the session broke
			m.doubt(op)
		default:
			m.reoffer(op)
		}
	}
}

// adopt changes to a better claim.
func (m *member) adopt(c claim, addrs []string) {
	wasHome, first := m.isHome(), m.claim.home == ""
	m.claim, m.heir, m.teller, m.reached = c, "", "", false
	if first && m.claimed != nil {
		m.claimed() // there is no need to ask more
	}
	if m.turned != nil {
		close(m.turned)
		m.turned = nil
	}
	m.home = nil
	m.unregisterAll()
	if wasHome {
		if !m.isHome() && time.Since(m.crowned) < time.Minute {
			m.deposed++
		}
		m.stopAnnouncing()
		for s, t := range m.ties {
			m.dissolve(s, t)
		}
		for id := range m.pairs {
			m.unpair(id)
		}
	}
	for s, t := range m.ties {
		if t.said {
			m.greet(s, t)
		}
	}
	m.space.log.Debug("channel home", "channel", m.name, "home", c.home, "generation", c.generation)
	if m.isHome() {
		m.crowned = time.Now()
		m.announce()
		if m.closed {
			m.acknowledge()
		}
	} else {
		m.space.node.AddAddrs(c.home, addrs)
		m.rejoin()
	}
}

// join submits to the home, at the other end of s, what waits here.
func (m *member) join(s *session, t *tie) {
	m.home, m.reached = s, true
	if !t.said || t.claim != m.claim {
		m.greet(s, t)
	}
	if t.shut {
		m.acknowledge()
	}
	m.registerAll()
}

// rejoin seeks the home that the claim names.
func (m *member) rejoin() {
	if m.joining || m.gone {
		return
	}
	m.joining = true
	m.space.spawn(func() {
		start, sought := time.Now(), claim{}
		for wait := 20 * time.Millisecond; ; wait *= 2 {
			m.mu.Lock()
			if m.home != nil || m.isHome() || m.gone || m.space.ctx.Err() != nil {
				m.joining = false
				m.unlock()
				return
			}
			if m.claim != sought {
				start, sought = time.Now(), m.claim
			}
			// Peers that reach a third one, but not each other, would
			// take the place from each other without end.
			patience := rejoinTime << min(max(m.deposed-1, 0), 6)
			m.mu.Unlock()

			ctx, cancel := context.WithTimeout(m.space.ctx, patience-time.Since(start))
			sn, err := m.space.dial(ctx, sought.home)
			cancel()

			m.mu.Lock()
			if err == nil && m.claim == sought && !m.gone && m.home == nil {
				if t := m.tie(sn); t != nil {
					m.join(sn, t)
				}
			}
			m.unlock()
			switch {
			case err == nil:
			case errors.Is(err, p2p.ErrUnknownPeer), time.Since(start) >= patience:
				m.inherit(sought)
			default:
				select {
				case <-time.After(min(wait, patience-time.Since(start))):
				case <-m.space.ctx.Done():
				}
			}
		}
	})
}

// succeed replaces a home that is lost by this peer. One that was never reached
// is replaced by the peer that told of it: that one reaches both.
func (m *member) succeed() {
	next := claim{m.claim.generation + 1, m.self()}
	if !m.reached && m.teller != m.claim.home && m.space.to(m.teller) != nil {
		next.home = m.teller
	}
	if next.generation > maxGeneration {
		// No channel comes so far by losing its homes. Begin anew, and do
		// not hear of that home again.
		if m.lostHomes == nil || len(m.lostHomes) >= maxLost {
			m.lostHomes = map[claim]bool{}
		}
		m.lostHomes[m.claim], next = true, claim{1, m.self()}
	}
	m.adopt(next, nil)
}
