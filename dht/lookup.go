package dht

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// lookupTimeout bounds the search for all that claim a name. It ends earlier
	// when quietTimeout has passed since somebody was found: then it waits for
	// peers of the table that do not answer, because they were killed.
	lookupTimeout = 20 * time.Second
	quietTimeout  = nameTimeout
	// askedPeersMax is how many peers are asked for their names in one lookup, and
	// askingPeersMax how many of them at a time.
	askedPeersMax, askingPeersMax = 4096, 128
)

// An AmbiguousError says that a text stands for more than one peer. It is never
// guessed which was meant.
type AmbiguousError struct {
	Text   string
	Name   bool     // a name that all of them claim; else the beginning of their IDs
	Peers  []p2p.ID // in order
	Silent []p2p.ID // they are announced under the name, and did not answer when asked for it
}

// Error names all peers in full.
func (e *AmbiguousError) Error() string {
	if !e.Name {
		return fmt.Sprintf("%q begins the IDs of %d peers: %s; give more of it", e.Text, len(e.Peers), list(e.Peers))
	}
	var parts []string
	if len(e.Peers) > 0 {
		parts = append(parts, fmt.Sprintf("is claimed by %s", list(e.Peers)))
	}
	if len(e.Silent) > 0 {
		parts = append(parts, fmt.Sprintf("may be claimed by %s, too, which cannot be asked and, if gone, is forgotten within the hour", list(e.Silent)))
	}
	return fmt.Sprintf("name %q %s; use the ID of the peer that you mean, or pin the name to it: %s=ID",
		e.Text, strings.Join(parts, ", and "), e.Text)
}

func list(ids []p2p.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, " and ")
}

// Lookup returns the ID of the peer that text stands for: its ID, its [Name], or
// the beginning of the ID of one that is connected.
//
// For a name it asks all connected peers that have one, and all peers that are
// announced under it, what they call themselves, which takes as long as a whole
// search with [DHT.Find], but at most twenty seconds. Peers that do not answer
// for five seconds are not waited for. A name that is pinned, see Options.Pins, stands for
// that peer and nobody is asked. A peer that is blocked is not asked either.
//
// # Errors
//
// An [*AmbiguousError] when the text stands for several peers, also if only one
// shows its claim to the name and others may have one; it names them all.
// [ErrNotFound] when it stands for none, [ErrClosed], or the context's error.
func (d *DHT) Lookup(ctx context.Context, text string) (p2p.ID, error) {
	// First, for a name may happen to be some CID.
	name, err := ParseName(text)
	if err == nil {
		id, err := d.lookupName(ctx, name)
		if err != nil {
			return "", fmt.Errorf("dht: look up: %w", err)
		}
		return id, nil
	}
	if id, err := p2p.ParseID(text); err == nil {
		return id, nil
	}
	id, err := d.lookupPrefix(text)
	if err != nil {
		return "", fmt.Errorf("dht: look up: %w", err)
	}
	return id, nil
}

// lookupPrefix finds the connected peer whose ID begins with text.
func (d *DHT) lookupPrefix(text string) (p2p.ID, error) {
	var found []p2p.ID
	begins := func(id p2p.ID) {
		if strings.HasPrefix(id.String(), text) {
			found = append(found, id)
		}
	}
	if text != "" {
		begins(d.node.ID())
		for _, p := range d.node.Peers() {
			begins(p.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w: %.80q is neither a name nor a peer ID nor the beginning of the ID of a connected peer", ErrNotFound, text)
	case 1:
		return found[0], nil
	}
	return "", &AmbiguousError{Text: text, Peers: found}
}

// lookupName finds the one peer that claims the name.
func (d *DHT) lookupName(ctx context.Context, name Name) (p2p.ID, error) {
	if id, ok := d.names.pins[name]; ok {
		return id, nil
	}
	if !d.begin() {
		return "", ErrClosed
	}
	defer d.work.Done()
	search, cancel := d.until(ctx)
	defer cancel()
	search, cancel = context.WithTimeout(search, lookupTimeout)
	defer cancel()
	p := d.queryName(search, name)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case d.ctx.Err() != nil:
		return "", ErrClosed
	case len(p.asked) > askedPeersMax:
		return "", fmt.Errorf("name %q: more than %d peers are announced under it; use the peer's ID", name, askedPeersMax)
	case search.Err() != nil && len(p.silent) == 0:
		return "", fmt.Errorf("name %q: the search for its claims did not end within %v; try again, or use the peer's ID", name, lookupTimeout)
	case len(p.claimants) == 0 && len(p.silent) == 0:
		return "", fmt.Errorf("%w: no peer that can be found has the name %q", ErrNotFound, name)
	case len(p.claimants) == 1 && len(p.silent) == 0:
		return p.claimants[0], nil
	}
	return "", &AmbiguousError{Text: string(name), Name: true, Peers: ordered(p.claimants), Silent: ordered(p.silent)}
}

func ordered(ids []p2p.ID) []p2p.ID {
	slices.SortFunc(ids, func(a, b p2p.ID) int { return cmp.Compare(a, b) })
	return ids
}

// A nameQuery collects the answers of peers that are asked for their names.
type nameQuery struct {
	name  Name
	asked map[p2p.ID]bool // true: it is announced under the name
	room  chan struct{}
	work  sync.WaitGroup

	mu        sync.Mutex
	claimants []p2p.ID
	silent    []p2p.ID // who are announced and do not answer
}

// queryName asks all peers that may claim the name.
func (d *DHT) queryName(ctx context.Context, name Name) *nameQuery {
	p := &nameQuery{name: name, asked: map[p2p.ID]bool{}, room: make(chan struct{}, askingPeersMax)}
	defer func() {
		p.work.Wait()
		// A peer that is announced under the name has announced itself, or another
		// peer lies. A peer that is only connected and does not answer has nothing
		// to do with the name.
		p.silent = slices.DeleteFunc(p.silent, func(id p2p.ID) bool { return !p.asked[id] })
	}()
	if d.names.own == name {
		p.claimants = append(p.claimants, d.node.ID())
	}
	// A LAN need not have a table: its peers are connected.
	for _, c := range d.node.Peers() {
		if d.named(c.ID) {
			p.ask(ctx, d, c.ID, false)
		}
	}
	finding, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(quietTimeout, cancel)
	defer quiet.Stop()
	for id := range d.Find(finding, name.key()) {
		quiet.Reset(quietTimeout)
		if p.ask(ctx, d, id, true); len(p.asked) > askedPeersMax {
			break
		}
	}
	return p
}

// named reports whether a connected peer says that it has a name.
func (d *DHT) named(id p2p.ID) bool {
	spoken, err := d.node.Host().Peerstore().SupportsProtocols(id, nameProtocol)
	return err == nil && len(spoken) > 0
}

// ask asks a peer for its name, once.
func (p *nameQuery) ask(ctx context.Context, d *DHT, id p2p.ID, announced bool) {
	_, before := p.asked[id]
	p.asked[id] = announced
	if before {
		return
	}
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return
	}
	p.work.Go(func() {
		defer func() { <-p.room }()
		name, err := d.askName(ctx, id)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err == nil && name == p.name:
			p.claimants = append(p.claimants, id)
		case err != nil && !errors.Is(err, ErrNoName) && !errors.Is(err, p2p.ErrBlocked):
			p.silent = append(p.silent, id)
		}
	})
}
