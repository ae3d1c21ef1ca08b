package dht

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// nameProtocol has no request: the peer that opens a stream reads the claim of the
// other side, and the end of the stream.
const nameProtocol p2p.Protocol = "/dstackless/name/1"

// nameTimeout is how long a peer has to show its claim, dialing included.
const nameTimeout = 5 * time.Second

// ErrNoName is returned by [DHT.NameOf] for a peer that shows no name, or one
// that is not its own.
var ErrNoName = errors.New("peer has no name")

// names are this peer's own name, and the names that are pinned.
type names struct {
	own  Name // or ""
	pins map[Name]p2p.ID

	mu    sync.Mutex
	shown *claim // the last one made
}

// Name returns what this peer calls itself, or "".
func (d *DHT) Name() Name { return d.names.own }

// startNaming announces this peer's name, and serves its claim.
func (d *DHT) startNaming() {
	if d.names.own != "" {
		d.node.Handle(nameProtocol, d.showClaim)
		d.Announce(d.names.own.key()) // until the table is closed
	}
}

// stopNaming ends what startNaming began.
func (d *DHT) stopNaming() {
	if d.names.own != "" {
		d.node.Unhandle(nameProtocol)
	}
}

// claim returns this peer's claim, which stands for half its time at least.
func (d *DHT) claim() (*claim, error) {
	d.names.mu.Lock()
	defer d.names.mu.Unlock()
	now := time.Now()
	if c := d.names.shown; c != nil && c.expires-now.Unix() > int64(claimLifetime/time.Second/2) {
		return c, nil
	}
	c, err := newClaim(d.node, d.names.own, now)
	if err == nil {
		d.names.shown = c
	}
	return c, err
}

// showClaim answers a peer that asks for the name.
func (d *DHT) showClaim(s p2p.Stream) {
	c, err := d.claim()
	if err != nil {
		s.Reset()
		return
	}
	s.SetDeadline(time.Now().Add(nameTimeout))
	if _, err := s.Write(c.bytes()); err != nil {
		s.Reset()
		return
	}
	s.Close()
}

// NameOf asks a peer for what it calls itself, within 5 seconds. That others may
// claim the same name is not looked at: see [DHT.Lookup].
//
// # Errors
//
// [ErrNoName] when the peer answers and has none, or shows a claim that is
// forged or has expired; otherwise those of p2p.Node.Open, or [ErrClosed].
func (d *DHT) NameOf(ctx context.Context, id p2p.ID) (Name, error) {
	if id == d.node.ID() {
		if d.names.own == "" {
			return "", fmt.Errorf("dht: name of %s: %w", id, ErrNoName)
		}
		return d.names.own, nil
	}
	if !d.begin() {
		return "", fmt.Errorf("dht: name of %s: %w", id, ErrClosed)
	}
	defer d.work.Done()
	name, err := d.askName(ctx, id)
	if err != nil {
		return "", fmt.Errorf("dht: name of %s: %w", id, err)
	}
	return name, nil
}

// askName is NameOf for another peer.
func (d *DHT) askName(ctx context.Context, id p2p.ID) (Name, error) {
	ctx, cancel := d.until(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	s, err := d.node.Open(ctx, id, nameProtocol)
	if errors.Is(err, p2p.ErrProtocol) {
		return "", ErrNoName
	}
	if err != nil {
		return "", err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	b, err := io.ReadAll(io.LimitReader(s, claimMaxBytes+1))
	if err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	c, err := parseClaim(b)
	if err == nil {
		err = c.verify(id, time.Now())
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoName, err)
	}
	return c.name, nil
}
