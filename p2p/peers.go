package p2p

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// PeerInfo tells of one connected peer. Its fields marshal to JSON.
type PeerInfo struct {
	ID        ID        // who
	Addr      string    // its end of the connection, a multiaddr
	Transport string    // "quic" or "tcp"; of a relayed connection, to or from the relay
	Inbound   bool      // it dialed this node
	Relayed   bool      // the connection is a limited one through a relay
	Relay     ID        // through which, if so
	Punched   bool      // a direct connection to a peer that was relayed before
	Since     time.Time // when the connection was made
	// ClockAhead is how far its clock is ahead of this machine's, or 0 if that
	// is not known. The peer may lie.
	ClockAhead time.Duration
}

// Peers returns the connected peers, ordered by ID. Of a peer with several
// connections it tells of the best: direct before relayed, old before new.
func (n *Node) Peers() []PeerInfo {
	var out []PeerInfo
	for _, id := range n.host.Network().Peers() {
		if c := bestConn(n.host.Network().ConnsToPeer(id)); c != nil {
			out = append(out, n.infoOf(c))
		}
	}
	slices.SortFunc(out, func(a, b PeerInfo) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

func (n *Node) infoOf(c network.Conn) PeerInfo {
	stat := c.Stat()
	_, punched := n.upgraded.Load(c)
	return PeerInfo{
		ID:         c.RemotePeer(),
		Addr:       c.RemoteMultiaddr().String(),
		Transport:  transportOf(c.RemoteMultiaddr(), c.LocalMultiaddr()),
		Inbound:    stat.Direction == network.DirInbound,
		Relayed:    stat.Limited,
		Relay:      relayOf(c.RemoteMultiaddr()),
		Punched:    punched,
		Since:      stat.Opened,
		ClockAhead: n.clockAhead(c.RemotePeer()),
	}
}

// transportOf returns the transport that the first of the addresses that names
// one names.
func transportOf(addrs ...ma.Multiaddr) string {
	for _, a := range addrs {
		for _, c := range a {
			switch c.Code() {
			case ma.P_QUIC_V1:
				return "quic"
			case ma.P_TCP:
				return "tcp"
			}
		}
	}
	return ""
}

const (
	// maxAddrs is how many addresses one call of AddAddrs takes.
	maxAddrs = 16
	// addrTTL is how long an address learned from another peer is remembered
	// when no connection proves it right.
	addrTTL = 10 * time.Minute
)

// AddrsOf returns the addresses at which a peer may be, without their /p2p/
// part, the node's own included. They are what others said and may be wrong.
func (n *Node) AddrsOf(id ID) []string {
	if id == n.ID() {
		return texts(n.host.Addrs())
	}
	return texts(n.host.Peerstore().Addrs(id))
}

// AddAddrs remembers addresses of a peer that some third peer told of, for 10
// minutes, or longer once a connection was made. A /p2p/ part may be there or
// not. At most 16 are taken; those that don't parse, that name another peer or that
// [Node.FilterAddrs] takes away are skipped, for they are a stranger's word and no
// error of the caller's.
func (n *Node) AddAddrs(id ID, addrs []string) {
	if id == n.ID() || id.Validate() != nil {
		return
	}
	var good []ma.Multiaddr
	for _, text := range addrs[:min(len(addrs), maxAddrs)] {
		if a := parsePlain(text, id); a != nil {
			good = append(good, a)
		}
	}
	n.host.Peerstore().AddAddrs(id, n.FilterAddrs(good), addrTTL)
}

// parsePlain reads an address of the peer id without its /p2p/ part, or returns
// nil.
func parsePlain(text string, id ID) ma.Multiaddr {
	if len(text) > 512 {
		return nil
	}
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil
	}
	if rest, last := ma.SplitLast(a); last != nil && last.Code() == ma.P_P2P {
		if last.Value() != id.String() {
			return nil
		}
		a = rest
	}
	if len(a) == 0 {
		return nil
	}
	return a
}
