package tasklet

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// maxLookups is how many peers are looked for at a time because programs name
	// them: each lookup asks many other peers. Of one program it is one.
	maxLookups = 8
	// lookupLifetime is how long a program is told what another one was told.
	lookupLifetime = 5 * time.Second
	// maxKeptLookups is how many outcomes of lookups are kept, and maxLookupText
	// the length of the longest text whose outcome is, in bytes.
	maxKeptLookups, maxLookupText = 1024, 128
)

// peerLookups finds the peers that programs name, a few at a time, and keeps what came
// of it for some seconds.
type peerLookups struct {
	find  func(ctx context.Context, text string) (p2p.ID, error)
	turns chan struct{} // holds a token for each that is under way
	kept  *lru.Cache[string, lookedUp]
}

// A lookedUp is what came of a lookup.
type lookedUp struct {
	id  p2p.ID
	err error
	at  time.Time
}

func newLookups(find func(ctx context.Context, text string) (p2p.ID, error)) *peerLookups {
	kept, err := lru.New[string, lookedUp](maxKeptLookups)
	if err != nil { // the size is not positive
		panic(err)
	}
	return &peerLookups{find: find, turns: make(chan struct{}, maxLookups), kept: kept}
}

// lookUp returns the peer that text stands for.
func (l *peerLookups) lookUp(ctx context.Context, text string) (p2p.ID, error) {
	if k, ok := l.kept.Get(text); ok && time.Since(k.at) < lookupLifetime {
		return k.id, k.err
	}
	if err := takeToken(ctx, l.turns); err != nil {
		return "", err
	}
	defer func() { <-l.turns }()
	id, err := l.find(ctx, text)
	if ctx.Err() == nil && len(text) <= maxLookupText {
		l.kept.Add(text, lookedUp{id, err, time.Now()})
	}
	return id, err
}

// lookUp finds the peer that the program names. It has one looked for at a time.
func (g *guest) lookUp(ctx context.Context, text string) (p2p.ID, error) {
	if err := takeToken(ctx, g.looking); err != nil {
		return "", err
	}
	defer func() { <-g.looking }()
	return g.host.lookups.lookUp(ctx, text)
}

// takeToken puts a token into turns when there is room.
func takeToken(ctx context.Context, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
