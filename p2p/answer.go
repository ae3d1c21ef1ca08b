package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"
)

// answerTimeout is how long a peer may take to answer on a connection.
const answerTimeout = 10 * time.Second

// reachPeer connects to a peer, and waits until it has answered on a stream. A
// connection alone says little: it is this side's word, and a peer that blocks
// this one, or refuses its certificate, closes it a moment later.
func (n *Node) reachPeer(ctx context.Context, info peer.AddrInfo) error {
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.TempAddrTTL)
	c, err := n.host.Network().DialPeer(ctx, info.ID)
	if errors.Is(err, swarm.ErrNoGoodAddresses) {
		err = errors.Join(unresolved(ctx, info.Addrs), err)
	}
	if err != nil {
		return n.reason(ctx, err)
	}
	for err = n.answers(ctx, c); err != nil; err = n.answers(ctx, c) {
		other := bestConn(n.host.Network().ConnsToPeer(info.ID))
		if !c.IsClosed() || other == nil || other == c {
			return err
		}
		c = other // both sides had dialed
	}
	if err := n.host.Connect(ctx, info); err != nil { // until it is known what the peer speaks
		return n.reason(ctx, err)
	}
	return nil
}

// answers waits for an answer on a connection. The error says why there is none,
// as far as that can be known.
func (n *Node) answers(ctx context.Context, c network.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := pingOn(waiting, c)
	if err == nil || errors.As(err, new(multistream.ErrNotSupported[Protocol])) { // that, too, is an answer
		return nil
	}
	if gone := n.usable(ctx); gone != nil {
		return gone
	}
	text := oneLine(err)
	if err := n.clockError(text); err != nil {
		return err
	}
	switch {
	case c.IsClosed():
		return fmt.Errorf("%w: it ended the connection before it answered: it has blocked this peer, or is over a limit (%s)", ErrUnreachable, text)
	}
	return fmt.Errorf("%w: it does not answer on the connection (%s)", ErrUnreachable, text)
}
