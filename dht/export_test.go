package dht

import (
	"context"
	"time"

	"github.com/ipfs/go-datastore"

	"github.com/dstackless/dstackless/p2p"
)

// What the tests see of the announcements.

const (
	MaxAnnouncing = maxAnnouncing
	FirstRetry    = firstRetry
	LastRetry     = lastRetry
)

// An Announcer makes announcements by calling a function, to whom the test says
// it is.
type Announcer struct{ n *announcer }

func NewAnnouncer(interval time.Duration, provide func(ctx context.Context, key Key, others bool) error) *Announcer {
	return &Announcer{newAnnouncer(newTable(), interval, provide)}
}

func (a *Announcer) Run(ctx context.Context) { a.n.run(ctx) }
func (a *Announcer) Join(id p2p.ID)          { a.n.table.add(id) }
func (a *Announcer) Leave(id p2p.ID)         { a.n.table.remove(id) }

func (a *Announcer) Announce(key Key) (stop func()) {
	x := a.n.add(key)
	return func() { a.n.remove(x) }
}

// Load counts the announcements that wait and those under way.
func (a *Announcer) Load() (waiting, underWay int) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	return len(a.n.waiting), len(a.n.underWay)
}

// NewProviders returns where a DHT keeps the records of others.
func NewProviders() datastore.Batching { return newProviders() }
