package network

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A schedule says when a home looks for others next: often at first, because
// two peers may have opened the channel at once, then less.
type schedule struct {
	next time.Time
	wait time.Duration
}

const (
	firstPatrol = 250 * time.Millisecond
	lastPatrol  = time.Minute
	// patrols is how many channels are looked for at a time.
	patrols = 8
)

// announce makes this peer, the home, findable.
func (m *member) announce() {
	m.stopAnnouncing()
	m.withdrawKey = m.space.dht.Announce(m.record)
	m.search = schedule{next: time.Now().Add(firstPatrol), wait: firstPatrol}
	m.space.hurry()
	// Whoever waits here may have been waiting for a home.
	for _, q := range []*queue{&m.sends, &m.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered = false
		}
	}
}

func (m *member) stopAnnouncing() {
	if stop := m.withdrawKey; stop != nil {
		m.withdrawKey = nil
		m.space.spawn(stop)
	}
}

// hurry has the patrol look at its schedule.
func (s *Space) hurry() {
	select {
	case s.patrolNow <- struct{}{}:
	default:
	}
}

// patrol looks for other homes of the channels whose home is here: on
// schedule, and whenever peers have joined the network.
func (s *Space) patrol() {
	joined := make(chan struct{}, 1)
	stop := s.dht.Joined(func() {
		select {
		case joined <- struct{}{}:
		default:
		}
	})
	defer stop()
	timer := time.NewTimer(lastPatrol)
	defer timer.Stop()
	for {
		all := false
		select {
		case <-s.ctx.Done():
			return
		case <-joined:
			all = true
		case <-s.patrolNow:
		case <-timer.C:
		}
		due, next := s.due(all)
		s.forgetTaken(time.Now())
		var wg sync.WaitGroup
		room := make(chan struct{}, patrols)
		for _, m := range due {
			room <- struct{}{}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
				defer cancel()
				m.meet(ctx)
				<-room
			})
		}
		wg.Wait()
		timer.Reset(time.Until(next))
	}
}

// due returns the channels to look for now, and when to look again.
func (s *Space) due(all bool) (due []*member, next time.Time) {
	now := time.Now()
	next = now.Add(lastPatrol)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		m.mu.Lock()
		if now.Sub(m.told) >= lastPatrol {
			m.told = now
			m.deposed /= 2
			m.remind()
		}
		if m.isHome() {
			if all {
				m.search = schedule{next: now, wait: firstPatrol}
			}
			if !m.search.next.After(now) {
				due = append(due, m)
				m.search.wait = min(2*m.search.wait, lastPatrol)
				m.search.next = now.Add(m.search.wait)
			}
			if m.search.next.Before(next) {
				next = m.search.next
			}
		}
		m.mu.Unlock()
	}
	return due, next
}

// remind tells the home again of the receives that wait. It has set those aside
// that it found a send for, and forgets them on the word of the send's owner:
// one that lies, or says nothing, must not keep a receive waiting forever.
func (m *member) remind() {
	t := m.ties[m.home]
	for r := m.receives.first; r != nil; r = r.next {
		if m.isHome() {
			r.promised = false
		} else if t != nil && r.registered {
			m.home.send(frame{kind: receive, number: m.number, receive: r.id})
		}
	}
	m.rematch()
}

// forgetTaken drops the accepts for which nobody came back.
func (s *Space) forgetTaken(now time.Time) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	for peer, list := range s.unsettled {
		list = slices.DeleteFunc(list, func(t taken) bool { return t.until.Before(now) })
		if s.unsettled[peer] = list; len(list) == 0 {
			delete(s.unsettled, peer)
		}
	}
}
