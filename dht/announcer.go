package dht

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// An announcer has each of its keys announced when it is due. It has one
// goroutine, and one more for each announcement under way: a peer may announce
// as many keys as it has channels, and most of the time all of them wait.
type announcer struct {
	table    *table
	interval time.Duration
	provide  func(ctx context.Context, key Key, others bool) error
	started  time.Time
	changed  chan struct{} // holds one token after the first to be due, or underWay, may have changed

	mu       sync.Mutex // before the mutex of table
	waiting  queue
	underWay map[*announcement]*attempt
}

// An announcement is a key that is announced until it is removed. There are
// many: what is only needed by one that is under way is in its attempt.
type announcement struct {
	key      Key
	due      time.Duration // since the announcer started
	place    int32         // in the queue; -1: not there
	failures uint8         // since the last success
}

// An attempt is an announcement under way.
type attempt struct {
	cancel  context.CancelFunc
	done    chan struct{} // closed when it has ended
	again   bool          // the table has filled since it began
	removed bool          // the announcement was
}

func newAnnouncer(t *table, interval time.Duration, provide func(context.Context, Key, bool) error) *announcer {
	return &announcer{
		table: t, interval: interval, provide: provide,
		started:  time.Now(),
		changed:  make(chan struct{}, 1),
		underWay: map[*announcement]*attempt{},
	}
}

// add announces key: at once, or after an interval if the table is empty.
func (n *announcer) add(key Key) *announcement {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &announcement{key: key, due: n.now()}
	if n.table.empty() {
		a.due += n.jitteredInterval()
	}
	n.wait(a)
	return a
}

// remove ends the announcements of a, and waits for one under way to break off.
func (n *announcer) remove(a *announcement) {
	n.mu.Lock()
	if a.place >= 0 {
		heap.Remove(&n.waiting, int(a.place))
	}
	way := n.underWay[a]
	if way != nil {
		way.removed = true
	}
	n.mu.Unlock()
	if way != nil {
		way.cancel()
		<-way.done
	}
}

// run announces what is due until ctx ends. Then it waits for what is under way.
func (n *announcer) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	fills := n.table.fills()
	for {
		for n.begin(ctx, &work) {
		}
		timer.Reset(n.untilNextDue())
		select {
		case <-timer.C:
		case <-n.changed:
		case <-fills:
			fills = n.table.fills() // first, so as to miss none
			n.makeAllDue()
		case <-ctx.Done():
			return
		}
	}
}

// begin begins the first announcement that is due, if there is one and one more
// may be under way.
func (n *announcer) begin(ctx context.Context, work *sync.WaitGroup) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 || len(n.underWay) >= announcingMax || n.waiting[0].due > n.now() || ctx.Err() != nil {
		return false
	}
	a := heap.Pop(&n.waiting).(*announcement)
	ctx, cancel := context.WithCancel(ctx)
	n.underWay[a] = &attempt{cancel: cancel, done: make(chan struct{})}
	work.Go(func() { n.announce(ctx, a) })
	return true
}

// untilNextDue returns how long there is nothing to do if nothing changes.
func (n *announcer) untilNextDue() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 || len(n.underWay) >= announcingMax {
		return n.interval
	}
	return n.waiting[0].due - n.now()
}

// announce makes one announcement, and says when the next is due.
func (n *announcer) announce(ctx context.Context, a *announcement) {
	// A peer alone renews what it knows itself: whoever asks need not be in
	// its table.
	err := n.provide(ctx, a.key, !n.table.empty())
	n.mu.Lock()
	defer n.mu.Unlock()
	way := n.underWay[a]
	delete(n.underWay, a)
	way.cancel()
	close(way.done)
	wait := n.jitteredInterval()
	switch {
	case way.again:
		a.failures, wait = 0, 0
	case err == nil:
		a.failures = 0
	case n.table.empty():
		// Alone: there is nothing to repeat until somebody comes.
	default:
		wait = min(wait, firstRetryInterval<<a.failures, retryIntervalMax)
		if firstRetryInterval<<a.failures < retryIntervalMax {
			a.failures++
		}
	}
	a.due = n.now() + wait
	if !way.removed {
		n.wait(a)
	}
	n.signal()
}

// makeAllDue makes all announcements due: the table has filled, or the addresses
// have changed.
func (n *announcer) makeAllDue() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	for _, a := range n.waiting {
		// What was due before still comes before: the queue stays in order.
		a.due, a.failures = min(a.due, now), 0
	}
	for _, way := range n.underWay {
		way.again = true
	}
}

func (n *announcer) now() time.Duration { return time.Since(n.started) }

// jitteredInterval returns the interval, give or take a tenth.
func (n *announcer) jitteredInterval() time.Duration {
	return n.interval + time.Duration((rand.Float64()-0.5)*float64(n.interval)/5)
}

// wait puts a in the queue. The caller holds n.mu.
func (n *announcer) wait(a *announcement) {
	heap.Push(&n.waiting, a)
	if a.place == 0 {
		n.signal()
	}
}

// signal has run look again.
func (n *announcer) signal() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// A queue is a heap of announcements, the first to be due on top.
type queue []*announcement

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = int32(i), int32(j)
}

func (q *queue) Push(x any) {
	a := x.(*announcement)
	a.place = int32(len(*q))
	*q = append(*q, a)
}

func (q *queue) Pop() any {
	old := *q
	last := len(old) - 1
	a := old[last]
	old[last], a.place = nil, -1
	*q = old[:last]
	return a
}
