package network

import (
	"context"
	"errors"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// rejoinTime is how long a lost home is sought before this peer takes
	// its place.
	rejoinTime = time.Second

	// maxLost is how many claims of the last generation are refused: to
	// forget one costs no more than to seek its home again.
	maxLost = 256
)

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
