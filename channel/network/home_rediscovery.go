package network

import (
	"context"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A searchSchedule says when a home looks for others next: often at first, because
// two peers may have opened the channel at once, then less.
type searchSchedule struct {
	next time.Time
	wait time.Duration
}

const (
	firstSearchInterval = 250 * time.Millisecond
	// busySearchInterval is how long a home waits, at most, after the network has
	// changed: whom it could not find, it may find now.
	busySearchInterval = time.Minute
	// quietSearchInterval is how long it waits when the network no longer changes. A
	// search takes some 40 messages among 100 peers.
	quietSearchInterval = 10 * time.Minute
	// maxConcurrentSearches is how many channels are looked for at a time.
	maxConcurrentSearches = 8
)

// announce makes this peer, the home, findable.
func (cs *channelState) announce() {
	cs.stopAnnouncing()
	cs.stopAnnounce = cs.space.dht.Announce(cs.record)
	cs.nextSearch = searchSchedule{next: time.Now().Add(firstSearchInterval), wait: firstSearchInterval}
	cs.space.kickRediscovery()
	// Whoever waits here may have been waiting for a home.
	for _, q := range []*queue{&cs.sends, &cs.receives} {
		for op := q.first; op != nil; op = op.next {
			op.registered = false
		}
	}
}

func (cs *channelState) stopAnnouncing() {
	if stop := cs.stopAnnounce; stop != nil {
		cs.stopAnnounce = nil
		cs.space.spawn(stop)
	}
}

// kickRediscovery has rediscover look at its schedule.
func (s *Space) kickRediscovery() {
	select {
	case s.rediscoverNow <- struct{}{}:
	default:
	}
}

// rediscover looks for other homes of the channels whose home is here: on
// schedule, and whenever peers have joined the network.
func (s *Space) rediscover() {
	joined, changed := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	defer s.dht.Joined(func() { tell(joined) })()
	defer s.node.Watch(func(p2p.ID, bool) { tell(changed) })()
	timer := time.NewTimer(busySearchInterval)
	defer timer.Stop()
	var news time.Time
	for {
		most := quietSearchInterval
		select {
		case <-s.ctx.Done():
			return
		case <-joined:
			most = 0
		case <-changed:
			if time.Since(news) < time.Second { // what is sought within a minute of that is soon enough
				continue
			}
			news, most = time.Now(), busySearchInterval
		case <-s.rediscoverNow:
		case <-timer.C:
		}
		due, next := s.dueSearches(most)
		s.forgetExpired(time.Now())
		var wg sync.WaitGroup
		room := make(chan struct{}, maxConcurrentSearches)
		for _, cs := range due {
			room <- struct{}{}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
				defer cancel()
				cs.helloProviders(ctx)
				<-room
			})
		}
		wg.Wait()
		timer.Reset(time.Until(next))
	}
}

// dueSearches returns the channels to look for now, and when to look again. No home waits
// longer than most for its next search.
func (s *Space) dueSearches(most time.Duration) (due []*channelState, next time.Time) {
	now := time.Now()
	next = now.Add(busySearchInterval)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cs := range s.channels {
		cs.mu.Lock()
		if now.Sub(cs.remindedAt) >= remindInterval {
			cs.remindedAt = now
			cs.homeLosses /= 2
			cs.remindHome()
		}
		if cs.isHome() {
			if cs.nextSearch.wait > most {
				cs.nextSearch.wait = max(most, firstSearchInterval)
			}
			if soon := now.Add(most); cs.nextSearch.next.After(soon) {
				cs.nextSearch.next = soon
			}
			if !cs.nextSearch.next.After(now) {
				due = append(due, cs)
				cs.nextSearch.wait = min(2*cs.nextSearch.wait, quietSearchInterval)
				cs.nextSearch.next = now.Add(cs.nextSearch.wait)
			}
			if cs.nextSearch.next.Before(next) {
				next = cs.nextSearch.next
			}
		}
		cs.mu.Unlock()
	}
	return due, next
}

// remindInterval is how often the home is told again of what waits.
const remindInterval = time.Minute

// remindHome tells the home again of the receives that wait. It has set those aside
// that it found a send for, and forgets them on the word of the send's owner:
// one that lies, or says nothing, must not keep a receive waiting forever.
func (cs *channelState) remindHome() {
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
