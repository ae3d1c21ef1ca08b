package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// Open opens a stream to a peer, in the first of the protocols, by the caller's
// preference, that the peer speaks; the stream's Protocol method tells which.
// When not connected it first dials every known address, however long ctx
// allows, or 10 seconds at most when ctx has no deadline. A relayed connection
// is used when there is no better one: then everything must survive its being
// cut, by default after 128 KiB or 2 minutes.
//
// To save a round trip, Open trusts what the peer has said earlier about the
// protocols it speaks. If that is no longer true, the first Read fails instead,
// and the same is true of a peer that has gone without a word.
//
// # Errors
//
// [ErrSelf], [ErrUnknownPeer], [ErrUnreachable], [ErrProtocol], [ErrClosed], or
// the context's error. That nothing listens at an address is learned at once
// over TCP, after 5 seconds over QUIC: set a deadline. After a failed dial the peer's addresses are left alone
// for 5 seconds and more, and Open fails at once; [Node.Connect] does not wait.
func (n *Node) Open(ctx context.Context, to ID, protocols ...Protocol) (Stream, error) {
	s, err := n.open(ctx, to, protocols)
	if err != nil {
		return nil, fmt.Errorf("p2p: open a stream to %s: %w", to, err)
	}
	return s, nil
}

func (n *Node) open(ctx context.Context, to ID, protocols []Protocol) (Stream, error) {
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	if to == n.ID() {
		return nil, ErrSelf
	}
	if len(protocols) == 0 {
		return nil, errors.New("no protocol given")
	}
	if n.host.Network().Connectedness(to) == network.NotConnected && len(n.host.Peerstore().Addrs(to)) == 0 {
		return nil, ErrUnknownPeer
	}
	// Without this a relayed connection blocks until ctx ends.
	s, err := n.host.NewStream(network.WithAllowLimitedConn(ctx, "stream"), to, protocols...)
	switch {
	case err == nil:
		return n.lab.stream(s), nil
	case errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}):
		return nil, fmt.Errorf("%w %s", ErrProtocol, join(protocols))
	}
	return nil, n.reason(ctx, err)
}

func join(protocols []Protocol) string {
	words := slices.Collect(func(yield func(string) bool) {
		for _, p := range protocols {
			if !yield(string(p)) {
				return
			}
		}
	})
	return strings.Join(words, " nor ")
}

// Handle has h called, in a goroutine of its own, for every stream that a peer
// opens in protocol p, in place of an earlier handler of it. h owns the stream:
// it must close or reset it. Streams are reset when the node closes, so a
// handler that reads or writes ends then; [Node.Close] waits for it.
func (n *Node) Handle(p Protocol, h func(Stream)) {
	n.host.SetStreamHandler(p, func(s network.Stream) {
		n.mu.Lock()
		if n.closed {
			n.mu.Unlock()
			s.Reset()
			return
		}
		n.handlers.Add(1)
		n.mu.Unlock()
		defer n.handlers.Done()
		h(n.lab.stream(s))
	})
}

// Unhandle ends [Node.Handle]: no new streams of protocol p are taken. Handlers
// that run go on.
func (n *Node) Unhandle(p Protocol) { n.host.RemoveStreamHandler(p) }
