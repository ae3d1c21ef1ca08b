package dht

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxAnnouncing is how many announcements are under way at a time; more
	// wait for their turn.
	maxAnnouncing = 16
	// announceTimeout bounds one announcement: a search for the 20 peers
	// nearest to the key, then a message to each.
	announceTimeout = time.Minute
	// A failed announcement is repeated after this time, doubled each time, but
	// never later than the next regular one.
	firstRetry, lastRetry = time.Second, time.Minute
)

// Announce tells the network that this peer is to be found under key, and keeps
// telling it until stop is called or the DHT is closed: now, whenever the
// routing table fills after being empty, and every Options.Interval. It returns
// at once. A failure is no error of the caller's and is never told: the table
// of a peer alone is empty, and then it waits for the first other; after any
// other failure it is repeated until it succeeds. This peer answers for the key
// itself from the first moment.
//
// stop waits for an announcement under way to break off; calling it again does
// nothing. It can't take back what others have stored: they forget it after
// Options.RecordTTL.
func (d *DHT) Announce(key Key) (stop func()) {
	if !d.begin() {
		return func() {}
	}
	ctx, cancel := d.until(context.Background())
	done := make(chan struct{})
	go func() {
		defer d.work.Done()
		defer close(done)
		d.announce(ctx, key)
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-done
	})
}

// announce provides key again and again until ctx ends.
func (d *DHT) announce(ctx context.Context, key Key) {
	retry := firstRetry
	for {
		fills := d.table.fills()
		wait := d.interval + time.Duration((rand.Float64()-0.5)*float64(d.interval)/5)
		switch err := d.provide(ctx, key); {
		case err == nil:
			retry = firstRetry
		case d.table.empty():
			// Alone: there is nothing to repeat until somebody comes.
		default:
			wait = min(wait, retry)
			retry = min(2*retry, lastRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-fills:
			timer.Stop()
			retry = firstRetry
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (d *DHT) provide(ctx context.Context, key Key) error {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	return d.kad.Provide(ctx, key, true)
}
