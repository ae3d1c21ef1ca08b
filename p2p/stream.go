package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/dstackless/dstackless/p2p/quota"
)

// Open opens a stream to a peer, in the first of the protocols, by the caller's
// preference, that the peer speaks; the stream's Protocol method tells which.
// When not connected it first dials every known address, however long ctx
// allows, or 10 seconds at most when ctx has no deadline. A relayed connection
// is used when there is no better one: then the stream is a lasting one, see
// [Node.OpenResumable], which survives that the relay cuts it.
//
// To save a round trip, Open trusts what the peer has said earlier about the
// protocols it speaks. If that is no longer true, the first Read fails instead,
// and the same is true of a peer that has gone without a word.
//
// # Errors
//
// [ErrSelf], [ErrUnknownPeer], [ErrUnreachable], [ErrBlocked], [ErrProtocol],
// [ErrClosed], or the context's error. That nothing listens at an address is learned at once
// over TCP, after 5 seconds over QUIC: set a deadline. After a failed dial the peer's addresses are left alone
// for 5 seconds and more, and Open fails at once; [Node.Connect] does not wait.
func (n *Node) Open(ctx context.Context, to ID, protocols ...Protocol) (Stream, error) {
	s, err := n.open(ctx, to, protocols, false)
	if err != nil {
		return nil, fmt.Errorf("p2p: open a stream to %s: %w", to, err)
	}
	return s, nil
}

// OpenResumable is Open for a stream that shall outlive its connection: when that
// is lost, both sides seek another, relayed or direct, for up to 30 seconds, and
// the stream goes on where it was, with no byte lost or doubled. When a direct
// connection appears beside a relayed one, the stream leaves the relay for it.
// It fails when there was no connection for 30 seconds or the peer was started
// anew. To open it may take 15 seconds when the connection to the peer is dead, and
// 5 when it was lost a moment ago: so long another way is sought. It is one second
// when machines answer at all of its addresses and say that nobody listens there.
//
// Of what was written, 256 KiB may be on the way: Write blocks when so much was
// not taken by the other side's reader. A peer that speaks the protocol but
// knows nothing of lasting streams gets an ordinary one.
func (n *Node) OpenResumable(ctx context.Context, to ID, protocols ...Protocol) (Stream, error) {
	s, err := n.open(ctx, to, protocols, true)
	if err != nil {
		return nil, fmt.Errorf("p2p: open a stream to %s: %w", to, err)
	}
	return s, nil
}

func (n *Node) open(ctx context.Context, to ID, protocols []Protocol, lasting bool) (Stream, error) {
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	if to == n.ID() {
		return nil, ErrSelf
	}
	if len(protocols) == 0 {
		return nil, errors.New("no protocol given")
	}
	if n.blocks.has(to) {
		return nil, ErrBlocked
	}
	if n.host.Network().Connectedness(to) == network.NotConnected && len(n.host.Peerstore().Addrs(to)) == 0 {
		return nil, ErrUnknownPeer
	}
	start := time.Now()
	for wait := firstReopen; ; wait = min(2*wait, lastReopen) {
		s, err := n.openOnce(ctx, to, protocols, lasting)
		hope := n.shocks.felt(to, errors.Is(err, errNobody)) || n.host.Network().Connectedness(to) != network.NotConnected
		switch {
		case err == nil, !lasting, !hope, time.Since(start) > movedTime:
			return s, err
		case !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrUnknownPeer):
			return nil, err
		}
		n.log.Debug("no stream", "peer", to, "reason", oneLine(err))
		n.forgetFailures(to)
		select {
		case <-time.After(wait + rand.N(wait)):
		case <-ctx.Done():
			return nil, err
		case <-n.ctx.Done():
			return nil, ErrClosed
		}
	}
}

const (
	// A lasting stream that could not be opened to a peer that was there a
	// moment ago is opened again after this time, doubled each time.
	firstReopen, lastReopen = 50 * time.Millisecond, time.Second
	// slowStep is how long it may take to open a stream, or to write a piece of
	// a lasting one, before the connections to the peer are suspected.
	slowStep = 2 * time.Second
)

func (n *Node) openOnce(ctx context.Context, to ID, protocols []Protocol, lasting bool) (Stream, error) {
	defer time.AfterFunc(slowStep, func() { n.spawn(func() { n.suspect(to) }) }).Stop()
	// Without this a relayed connection blocks until ctx ends.
	ctx = network.WithAllowLimitedConn(ctx, "stream")
	if err := n.dial(ctx, to); err != nil {
		return nil, n.reason(ctx, err)
	}
	var s Stream
	var err error
	if lasting || n.host.Network().Connectedness(to) == network.Limited {
		s, err = n.openLasting(ctx, to, protocols)
		lasting = !errors.Is(err, multistream.ErrNotSupported[protocol.ID]{})
	}
	if s == nil && (err == nil || !lasting) {
		s, err = n.host.NewStream(ctx, to, protocols...)
	}
	switch {
	case err == nil:
		return n.hooks.WrapStream(s), nil
	case errors.Is(err, ErrProtocol), errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}):
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
	hooked := func(s Stream) { h(n.hooks.WrapStream(s)) }
	n.resources.serve(p)
	n.lastings.handle(p, hooked)
	n.handle(p, hooked)
}

// Limit has the streams that peers open in protocol p be limited by l, in place
// of 8,192 for all and 1,024 for one of a protocol that [Node.Handle] serves, and
// 512 and 16 of one that another library serves with the node's host. Strangers
// have three quarters of these. Call it before the protocol is served.
//
// A stream of which there are too many is reset: see package quota for which.
func (n *Node) Limit(p Protocol, l quota.Limits) { n.resources.limit(p, l) }

func (n *Node) handle(p Protocol, h func(Stream)) {
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
		h(s)
	})
}

// Unhandle ends [Node.Handle]: no new streams of protocol p are taken. Handlers
// that run go on.
func (n *Node) Unhandle(p Protocol) {
	n.lastings.handle(p, nil)
	n.host.RemoveStreamHandler(p)
}
