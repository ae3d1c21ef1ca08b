package dht

import (
	"context"
	"time"
)

const (
	// announcingMax is how many announcements are under way at a time; more
	// wait for their turn.
	announcingMax = 16
	// announceTimeout bounds one announcement: a search for the 20 peers
	// nearest to the key, then a message to each.
	announceTimeout = time.Minute
	// A failed announcement is repeated after this time, doubled each time, but
	// never later than the next regular one.
	firstRetryInterval, retryIntervalMax = time.Second, time.Minute
)

// Announce tells the network that this peer is to be found under key, and keeps
// telling it until stop is called or the DHT is closed: now, whenever the
// routing table fills after being empty, when this peer's addresses have
// changed, and every Options.Interval. It returns
// at once. A failure is no error of the caller's and is never told: the table
// of a peer alone is empty, and then it waits for the first other; after any
// other failure it is repeated until it succeeds. This peer answers for the key
// itself from the first moment.
//
// An announced key costs some memory, and no goroutine while it waits.
//
// stop waits for an announcement under way to break off; calling it again does
// nothing. It can't take back what others have stored: they forget it after
// Options.RecordTTL.
func (d *DHT) Announce(key Key) (stop func()) {
	if !d.begin() {
		return func() {}
	}
	defer d.work.Done()
	// The first announcement may have to wait for its turn.
	d.kad.Provide(d.ctx, key, false)
	a := d.announcer.add(key)
	return func() { d.announcer.remove(a) }
}

// provide notes that this peer is to be found under key, and, if others are to
// be told, tells those nearest to it.
func (d *DHT) provide(ctx context.Context, key Key, others bool) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	return d.kad.Provide(ctx, key, others)
}
