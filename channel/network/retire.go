package network

import (
	"time"

	"github.com/dstackless/dstackless/channel"
)

// retire says goodbye to all sessions. As home it hands the matchmaking to the
// member closest to the key.
func (m *member) retire() {
	m.gone = true
	if m.isHome() && m.claim.generation < maxGeneration {
		var next claim
		for s, t := range m.ties {
			c := claim{m.claim.generation + 1, s.peer}
			if t.joins && (next.home == "" || c.better(next, m.key)) {
				next = c
			}
		}
		if next.home != "" {
			m.claim = next
			for s, t := range m.ties {
				m.greet(s, t)
			}
		}
	}
	m.stopAnnouncing()
	for _, timer := range []*time.Timer{m.waitPlain, m.waitLane, m.drainBy} {
		if timer != nil {
			timer.Stop()
		}
	}
	for s, t := range m.ties {
		s.send(frame{kind: leave, number: m.number})
		s.untie(m)
		s.memory.remove(len(t.ops)*operationCost + len(t.passing)*passCost)
	}
	for id := range m.pairs {
		m.unpair(id)
	}
	clear(m.ties)
	m.home = nil
	m.forgetQuestions()
}

// close ends all operations that wait, because the space is shut down. The
// member goes when the outcomes of the others are known.
func (m *member) close() {
	m.mu.Lock()
	defer m.unlock()
	for e := range m.ends {
		e.left = true
	}
	clear(m.ends)
	m.endWaiting(func(*operation) bool { return true })
}

// giveUp ends the operations whose outcome will not be heard any more.
func (m *member) giveUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range m.exposed {
		if op.offered {
			m.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})
		}
	}
}

// endWaiting ends with ErrClosed the waiting operations that match, the last
// first.
func (m *member) endWaiting(which func(*operation) bool) {
	var ending []*operation
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.last; op != nil; op = op.prev {
			if which(op) {
				ending = append(ending, op)
			}
		}
	}
	for _, op := range ending {
		if op.in != nil {
			m.finish(op, channel.ErrClosed)
		}
	}
}
