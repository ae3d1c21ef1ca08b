package network

import (
	"context"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A schedule says when a home looks for others next: often at first, because
// two peers may have opened the channel at once, then less.
type schedule struct {
	next time.Time
	wait time.Duration
}

const (
	firstPatrol = 250 * time.Millisecond
	// busyPatrol is how long a home waits, at most, after the network has
	// changed: whom it could not find, it may find now.
	busyPatrol = time.Minute
	// quietPatrol is how long it waits when the network no longer changes. A
	// search takes some 40 messages among 100 peers.
	quietPatrol = 10 * time.Minute
	// patrols is how many channels are looked for at a time.
	patrols = 8
)

// announce makes this peer, the home, findable.
func (cs *channelState) announce() {
	cs.stopAnnouncing()
	cs.withdrawKey = cs.space.dht.Announce(cs.record)
	cs.search = schedule{next: time.Now().Add(firstPatrol), wait: firstPatrol}
	cs.space.hurry()
	// Whoever waits here may have been waiting for a home.
	for _, q := range []*queue{&cs.sends, &cs.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered = false
		}
	}
}

func (cs *channelState) stopAnnouncing() {
	if stop := cs.withdrawKey; stop != nil {
		cs.withdrawKey = nil
		cs.space.spawn(stop)
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
	joined, changed := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	defer s.dht.Joined(func() { tell(joined) })()
	defer s.node.Watch(func(p2p.ID, bool) { tell(changed) })()
	timer := time.NewTimer(busyPatrol)
	defer timer.Stop()
	var news time.Time
	for {
		most := quietPatrol
		select {
		case <-s.ctx.Done():
			return
		case <-joined:
			most = 0
		case <-changed:
			if time.Since(news) < time.Second { // what is sought within a minute of that is soon enough
				continue
			}
			news, most = time.Now(), busyPatrol
		case <-s.patrolNow:
		case <-timer.C:
		}
		due, next := s.due(most)
		s.forgetTaken(time.Now())
		var wg sync.WaitGroup
		room := make(chan struct{}, patrols)
		for _, cs := range due {
			room <- struct{}{}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
				defer cancel()
				cs.meet(ctx)
				<-room
			})
		}
		wg.Wait()
		timer.Reset(time.Until(next))
	}
}

// due returns the channels to look for now, and when to look again. No home waits
// longer than most for its next search.
func (s *Space) due(most time.Duration) (due []*channelState, next time.Time) {
	now := time.Now()
	next = now.Add(busyPatrol)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cs := range s.channels {
		cs.mu.Lock()
		if now.Sub(cs.told) >= remindTime {
			cs.told = now
			cs.deposed /= 2
			cs.remind()
		}
		if cs.isHome() {
			if cs.search.wait > most {
				cs.search.wait = max(most, firstPatrol)
			}
			if soon := now.Add(most); cs.search.next.After(soon) {
				cs.search.next = soon
			}
			if !cs.search.next.After(now) {
				due = append(due, cs)
				cs.search.wait = min(2*cs.search.wait, quietPatrol)
				cs.search.next = now.Add(cs.search.wait)
			}
			if cs.search.next.Before(next) {
				next = cs.search.next
			}
		}
		cs.mu.Unlock()
	}
	return due, next
}

// remindTime is how often the home is told again of what waits.
const remindTime = time.Minute

// remind tells the home again of the receives that wait. It has set those aside
// that it found a send for, and forgets them on the word of the send's owner:
// one that lies, or says nothing, must not keep a receive waiting forever.
func (cs *channelState) remind() {
	att := cs.attachments[cs.home]
	for r := cs.receives.first; r != nil; r = r.next {
		if cs.isHome() {
			r.promised = false
		} else if att != nil && r.registered {
			cs.home.send(frame{kind: receive, number: cs.number, receive: r.id})
		}
	}
	cs.rematch()
}
