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
// is used when there is no other. Then the stream is a resumable one, as from
// [Node.OpenResumable]: it survives when the relay closes the connection.
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

// OpenResumable opens a stream that survives the loss of its connection. When the
// connection is lost, both sides look for another one, relayed or direct, for up to
// 30 seconds. The stream goes on where it was; no byte is lost or doubled. When a
// direct connection appears beside a relayed one, the stream moves to it. The stream
// fails if the peer was restarted, or if there is no connection for 30 seconds.
//
// Opening retries for up to 15 seconds after a change of this machine's addresses,
// for 5 seconds after the connection to the peer was lost, and for 1 second if every
// address of the peer refuses the connection.
//
// Write blocks while 256 KiB are on the way that the other side's reader has not
// taken. The stream is an ordinary one if the peer speaks the protocol but has no
// resumable streams.
func (n *Node) OpenResumable(ctx context.Context, to ID, protocols ...Protocol) (Stream, error) {
	s, err := n.open(ctx, to, protocols, true)
	if err != nil {
		return nil, fmt.Errorf("p2p: open a stream to %s: %w", to, err)
	}
	return s, nil
}

func (n *Node) open(ctx context.Context, to ID, protocols []Protocol, resumable bool) (Stream, error) {
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
	for wait := firstReopenInterval; ; wait = min(2*wait, reopenIntervalMax) {
		s, err := n.openOnce(ctx, to, protocols, resumable)
		mayReturn := n.losses.mayReturn(to, errors.Is(err, errRefused)) || n.host.Network().Connectedness(to) != network.NotConnected
		switch {
		case err == nil, !resumable, !mayReturn, time.Since(start) > addrChangeTimeout:
			return s, err
		case !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrUnknownPeer):
			return nil, err
		}
		n.log.Debug("stream open failed, retrying", "peer", to, "error", oneLine(err))
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
	// OpenResumable tries again after firstReopenInterval, then twice that, up to
	// reopenIntervalMax.
	firstReopenInterval, reopenIntervalMax = 50 * time.Millisecond, time.Second
	// slowStepTimeout is how long it may take to open a stream, or to write a piece of
	// a resumable one, before the connections to the peer are probed.
	slowStepTimeout = 2 * time.Second
)

func (n *Node) openOnce(ctx context.Context, to ID, protocols []Protocol, resumable bool) (Stream, error) {
	defer time.AfterFunc(slowStepTimeout, func() { n.work.Go(func() { n.probeLenient(to) }) }).Stop()
	// Without this a relayed connection blocks until ctx ends.
	ctx = network.WithAllowLimitedConn(ctx, "stream")
	if err := n.dial(ctx, to); err != nil {
		return nil, n.reason(ctx, err)
	}
	var s Stream
	var err error
	if resumable || n.host.Network().Connectedness(to) == network.Limited {
		s, err = n.openResumable(ctx, to, protocols)
		resumable = !errors.Is(err, multistream.ErrNotSupported[protocol.ID]{})
	}
	if s == nil && (err == nil || !resumable) {
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

// Handle calls h, in a goroutine of its own, for every stream that a peer opens in
// protocol p. It replaces an earlier handler of p. h owns the stream:
// it must close or reset it. Streams are reset when the node closes, so a
// handler that reads or writes ends then; [Node.Close] waits for it.
func (n *Node) Handle(p Protocol, h func(Stream)) {
	hooked := func(s Stream) { h(n.hooks.WrapStream(s)) }
	n.resources.serve(p)
	n.streams.handle(p, hooked)
	n.handle(p, hooked)
}

// Limit sets the limits of the streams that peers open in protocol p. The defaults
// are 8,192 for all and 1,024 for one of a protocol that [Node.Handle] serves, and
// 512 and 16 of one that another library serves with the node's host. Strangers
// have three quarters of these. Call it before the protocol is served.
//
// A stream of which there are too many is reset: see package quota for which.
func (n *Node) Limit(p Protocol, l quota.Limits) { n.resources.limit(p, l) }

func (n *Node) handle(p Protocol, h func(Stream)) {
	n.host.SetStreamHandler(p, func(s network.Stream) {
		if !n.handlers.Enter() {
			s.Reset()
			return
		}
		defer n.handlers.Leave()
		h(s)
	})
}

// Unhandle ends [Node.Handle]: no new streams of protocol p are taken. Handlers
// that run go on.
func (n *Node) Unhandle(p Protocol) {
	n.streams.handle(p, nil)
	n.host.RemoveStreamHandler(p)
}
