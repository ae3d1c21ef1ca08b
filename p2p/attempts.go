package p2p

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// A peer that was not found is searched again after firstPeerSearchInterval at the
	// earliest, doubled each time, and one that could not be dialed again after
	// firstDial.
	firstPeerSearchInterval, peerSearchIntervalMax = time.Second, 16 * time.Second
	firstDialInterval, dialIntervalMax             = 50 * time.Millisecond, 2 * time.Second
	// attemptsKeptTimeout is how long it is remembered that a peer was tried.
	attemptsKeptTimeout = time.Minute
)

// attempts run something for a peer: once at a time for all callers, and after a
// failure not again before a pause. The zero value is not valid.
type attempts struct {
	first, last time.Duration // pause after a failure

	running singleflight.Group
	mu      sync.Mutex
	failed  map[ID]failure
}

// A failure tells when a peer may be tried again.
type failure struct {
	next  time.Time
	pause time.Duration
}

func newAttempts(first, last time.Duration) *attempts {
	return &attempts{first: first, last: last, failed: map[ID]failure{}}
}

var (
	errTriedRecently = errors.New("a moment ago an attempt failed; the next one is made later")
	// errSearched ends each search: only a dial shows whether the search helped.
	errSearched = errors.New("the search has ended")
)

// try has f run for a peer, or waits for one that runs, until ctx ends: f goes on
// then. Until the pause after the last failure is over, it does nothing, and
// returns errEarly.
func (a *attempts) try(ctx context.Context, id ID, f func() error) error {
	select {
	case r := <-a.running.DoChan(string(id), func() (any, error) {
		if !a.due(id) {
			return nil, errTriedRecently
		}
		err := f()
		a.ended(id, err)
		return nil, err
	}):
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *attempts) due(id ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !time.Now().Before(a.failed[id].next)
}

func (a *attempts) ended(id ID, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		delete(a.failed, id)
		return
	}
	now := time.Now()
	maps.DeleteFunc(a.failed, func(_ ID, f failure) bool { return now.Sub(f.next) > attemptsKeptTimeout })
	pause := min(max(2*a.failed[id].pause, a.first), a.last)
	a.failed[id] = failure{now.Add(pause), pause}
}

// dialShared connects to a peer, at its known addresses, together with all others
// that want to.
func (n *Node) dialShared(ctx context.Context, id ID) error {
	return n.dials.try(ctx, id, func() error {
		if !n.work.Enter() {
			return ErrClosed
		}
		defer n.work.Leave()
		ctx, cancel := context.WithTimeout(n.ctx, stepTimeout/2)
		defer cancel()
		n.forgetFailures(id)
		err := n.dial(ctx, id)
		if err != nil && ctx.Err() != nil {
			n.probe(id)
		}
		return err
	})
}

// searchPeer looks for new addresses of a peer, together with all others that want to.
func (n *Node) searchPeer(ctx context.Context, id ID) {
	f := n.finder.Load()
	if f == nil || f.Peer == nil {
		return
	}
	n.searches.try(ctx, id, func() error {
		if !n.work.Enter() {
			return ErrClosed
		}
		defer n.work.Leave()
		ctx, cancel := context.WithTimeout(n.ctx, stepTimeout/2)
		defer cancel()
		_ = f.Peer(ctx, id) // who is not found now may be later
		return errSearched
	})
}

// forget ends the pause of a peer.
func (a *attempts) forget(id ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, id)
}
