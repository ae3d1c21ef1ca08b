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
	// A connection that does not answer so long, when there is reason to doubt
	// it, is closed.
	doubtDirect, doubtRelayed = 3 * time.Second, 6 * time.Second
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
	c := best(n.host.Network().ConnsToPeer(to))
	if c == nil {
		return 0, ErrUnknownPeer
	}
	rtt, err := pingOn(ctx, c)
	if err != nil {
		return 0, n.reason(ctx, err)
	}
	return rtt, nil
}

// best returns the connection that is used first: direct before relayed, old
// before new.
func best(conns []network.Conn) network.Conn {
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

// doubt closes the connections to a peer that do not answer any more. A dead
// one would otherwise be noticed after half a minute over QUIC, and after
// minutes over TCP.
func (n *Node) doubt(peer ID) { n.doubtFor(peer, doubtDirect) }

// suspect is doubt with little reason for it: a connection may just be busy.
func (n *Node) suspect(peer ID) { n.doubtFor(peer, doubtRelayed) }

func (n *Node) doubtFor(peer ID, direct time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range n.host.Network().ConnsToPeer(peer) {
		if _, already := n.doubted.LoadOrStore(c, nil); already {
			continue
		}
		wg.Go(func() {
			defer n.doubted.Delete(c)
			d := direct
			if c.Stat().Limited {
				d = doubtRelayed
			}
			ctx, cancel := context.WithTimeout(n.ctx, d)
			defer cancel()
			if _, err := pingOn(ctx, c); err != nil && n.ctx.Err() == nil && !c.IsClosed() {
				n.log.Info("connection is dead", "peer", peer, "addr", c.RemoteMultiaddr(), "reason", oneLine(err))
				c.Close()
			}
		})
	}
}

// contradict is called when a peer uses a relay though this node sees a direct
// connection: it would not if that were alive at its end too.
func (n *Node) contradict(peer ID) {
	if n.host.Network().Connectedness(peer) == network.Connected {
		n.doubt(peer)
	}
}

// doubtAll doubts all connections that leave the machine.
func (n *Node) doubtAll() {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, peer := range n.host.Network().Peers() {
		wg.Go(func() { n.doubt(peer) })
	}
}
