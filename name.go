package dstackless

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/p2p"
)

// Lookup returns the ID of the peer that who stands for: its ID, its name, or
// the beginning of the ID of one that is connected. It is what all methods do
// that take a peer.
//
// If who stands for several peers, a name that two claim or a beginning that two
// IDs have, the error is a *dht.AmbiguousError that names them all; it is never
// guessed. If it stands for none, the error wraps dht.ErrNotFound.
func (p *Peer) Lookup(ctx context.Context, who string) (string, error) {
	id, err := p.table.Lookup(ctx, who)
	if err != nil {
		return "", fmt.Errorf("dstackless: %w", err)
	}
	return id.String(), nil
}

// Name returns what the peer calls itself, see [Options.Name], or "".
func (p *Peer) Name() string { return string(p.table.Name()) }

// NameOf asks a peer, named by its ID, what it calls itself. The error wraps
// dht.ErrNoName if it has no name. Others may claim the same one: see
// [Peer.Lookup].
func (p *Peer) NameOf(ctx context.Context, id string) (string, error) {
	of, err := p2p.ParseID(id)
	if err != nil {
		return "", err
	}
	name, err := p.table.NameOf(ctx, of)
	return string(name), err
}
