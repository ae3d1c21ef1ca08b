package network

import (
	"time"

	"github.com/dstackless/dstackless/channel"
)

// farewellTime is how long a space that is closed waits to hear and to be heard.
const farewellTime = time.Second

// Close leaves all channels and waits for the space's goroutines. Operations
// that wait return [channel.ErrClosed]. Close is idempotent.
func (s *Space) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	members := s.all()
	if first && len(members) == 0 {
		close(s.emptied)
	}
	s.mu.Unlock()
	if !first {
		s.wg.Wait()
		return nil
	}
	s.node.Unhandle(Protocol)
	for _, m := range members {
		m.close()
	}
	s.farewell()
	s.stop()
	s.cut()
	s.wg.Wait()
	for _, m := range members {
		m.giveUp()
	}
	return nil
}

// cut ends all sessions, and lets none begin.
func (s *Space) cut() {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.ended = true
	for _, list := range s.sessions {
		for _, sn := range list {
			sn.stream.Reset()
		}
	}
}

// farewell waits for the outcomes that are on their way here, and until the
// peers have heard those that are on their way to them: no longer than
// farewellTime each.
func (s *Space) farewell() {
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	select {
	case <-s.emptied:
	case <-timer.C:
	}
	timer.Reset(farewellTime)
	for _, sn := range s.live() {
		sn.hangUp()
	}
	for _, sn := range s.live() {
		select {
		case <-sn.finished:
		case <-timer.C:
			return
		}
	}
}

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
