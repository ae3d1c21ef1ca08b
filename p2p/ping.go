package p2p

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
)

const (
	// A connection that does not answer a probe within this time is closed.
	probeTimeout, probeRelayedTimeout = 3 * time.Second, 6 * time.Second
)

// RoundTrip measures how long a message takes to a connected peer and back, on
// the connection that [Node.Open] would use.
//
// # Errors
//
// [ErrUnknownPeer] when the peer is not connected, [ErrUnreachable] when it
// does not answer, [ErrClosed], or the context's error.
func (n *Node) RoundTrip(ctx context.Context, to ID) (time.Duration, error) {
	rtt, err := n.roundTrip(ctx, to)
	if err != nil {
		return 0, fmt.Errorf("p2p: round trip to %s: %w", to, err)
	}
	return rtt, nil
}

func (n *Node) roundTrip(ctx context.Context, to ID) (time.Duration, error) {
	if err := n.usable(ctx); err != nil {
		return 0, err
	}
	c := bestConn(n.host.Network().ConnsToPeer(to))
	if c == nil {
		return 0, ErrUnknownPeer
	}
	rtt, err := pingOn(ctx, c)
	if err != nil {
		return 0, n.reason(ctx, err)
	}
	return rtt, nil
}

// bestConn returns the connection that libp2p uses first: direct before relayed,
// old before new.
func bestConn(conns []network.Conn) network.Conn {
	var best network.Conn
	for _, c := range conns {
		if best == nil || best.Stat().Limited && !c.Stat().Limited ||
			best.Stat().Limited == c.Stat().Limited && c.Stat().Opened.Before(best.Stat().Opened) {
			best = c
		}
	}
	return best
}

// pingOn measures the round trip on one connection.
func pingOn(ctx context.Context, c network.Conn) (time.Duration, error) {
	s, err := c.NewStream(network.WithAllowLimitedConn(ctx, "ping"))
	if err != nil {
		return 0, err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	if err := multistream.SelectProtoOrFail(Protocol(ping.ID), s); err != nil {
		return 0, err
	}
	var b [ping.PingSize]byte
	rand.Read(b[:])
	start := time.Now()
	if _, err := s.Write(b[:]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(s, b[:]); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// probe sends a ping on each connection to a peer, and closes those that do not
// answer within probeTimeout, or probeRelayedTimeout through a relay. Without a
// probe, QUIC notices a dead connection after half a minute, and TCP after minutes.
func (n *Node) probe(peer ID) { n.probeWithin(peer, probeTimeout) }

// probeLenient is probe with probeRelayedTimeout for all connections: one may be
// alive and busy.
func (n *Node) probeLenient(peer ID) { n.probeWithin(peer, probeRelayedTimeout) }

func (n *Node) probeWithin(peer ID, direct time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range n.host.Network().ConnsToPeer(peer) {
		if _, already := n.probing.LoadOrStore(c, nil); already {
			continue
		}
		wg.Go(func() {
			defer n.probing.Delete(c)
			d := direct
			if c.Stat().Limited {
				d = probeRelayedTimeout
			}
			ctx, cancel := context.WithTimeout(n.ctx, d)
			defer cancel()
			if _, err := pingOn(ctx, c); err != nil && n.ctx.Err() == nil && !c.IsClosed() {
				n.log.Info("connection is dead", "peer", peer, "addr", c.RemoteMultiaddr(), "error", oneLine(err))
				c.Close()
			}
		})
	}
}

// probeContradicted probes the direct connection to a peer that uses a relay all
// the same: the connection may be dead at the peer's end.
func (n *Node) probeContradicted(peer ID) {
	if n.host.Network().Connectedness(peer) == network.Connected {
		n.probe(peer)
	}
}

// probeAll probes the connections to all peers.
func (n *Node) probeAll() {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, peer := range n.host.Network().Peers() {
		wg.Go(func() { n.probe(peer) })
	}
}
