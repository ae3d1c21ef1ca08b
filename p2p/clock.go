package p2p

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// clockProtocol tells two peers what the clock of the other shows. Who opened the
// stream sends the time first, then the other side does: milliseconds since 1970
// as a signed number of 8 bytes, big endian.
const clockProtocol Protocol = "/dstackless/clock/1"

const (
	// clockTimeout is how long the exchange may take.
	clockTimeout = 10 * time.Second
	// clockTolerance is how much two clocks may differ without a word. Nothing
	// here fails before they differ by about an hour.
	clockTolerance = time.Minute
	// clockPeersMax is how many connected peers are asked for the time. Peers
	// that are kept are asked even so.
	clockPeersMax = 16
	// clockPeersMin is how many peers must have been asked before this clock is
	// said to be the one that is off.
	clockPeersMin = 3
	// clockLogInterval is the least time between two log lines about peers that
	// asked, and clockWarnInterval that between two about this clock.
	clockLogInterval, clockWarnInterval = time.Minute, time.Hour
)

// A clocks is what is known of the clocks of connected peers.
type clocks struct {
	told loggedPeers // peers whose clock differs, as the log says

	mu     sync.Mutex // guards all below
	peers  map[ID]clock
	logged time.Time // when the log told of a peer that asked
	warned time.Time // when the log told of this clock
}

// A clock is that of one peer.
type clock struct {
	ahead time.Duration // of this one
	asked bool          // by this node, which chose the peer
}

// compareClock asks a peer that this node has dialed for the time.
func (n *Node) compareClock(c network.Conn) {
	if c.Stat().Direction != network.DirOutbound || c.Stat().Limited || !n.wantsClock(c.RemotePeer()) {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, clockTimeout)
	defer cancel()
	s, err := n.host.NewStream(ctx, c.RemotePeer(), clockProtocol)
	if err != nil {
		return
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(clockTimeout))
	sent := time.Now()
	if _, err := s.Write(appendTime(nil, n.hooks.Now())); err != nil {
		return
	}
	theirs, err := readTime(s)
	if err != nil {
		return
	}
	// The peer looked at its clock about half a round trip ago.
	n.noteClock(c.RemotePeer(), clock{theirs.Add(time.Since(sent) / 2).Sub(n.hooks.Now()), true})
}

// wantsClock reports whether the peer is to be asked for the time.
func (n *Node) wantsClock(id ID) bool {
	kept := slices.Contains(n.keptPeers(), id)
	n.clocks.mu.Lock()
	defer n.clocks.mu.Unlock()
	asked := 0
	for _, c := range n.clocks.peers {
		if c.asked {
			asked++
		}
	}
	return !n.clocks.peers[id].asked && (kept || asked < clockPeersMax)
}

// tellClock answers a peer that asks for the time.
func (n *Node) tellClock(s Stream) {
	defer s.Reset()
	s.SetDeadline(time.Now().Add(clockTimeout))
	theirs, err := readTime(s)
	if err != nil {
		return
	}
	id := s.Conn().RemotePeer()
	n.noteClock(id, clock{theirs.Sub(n.hooks.Now()), false})
	if _, err := s.Write(appendTime(nil, n.hooks.Now())); err == nil {
		s.Close()
	}
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

func readTime(r io.Reader) (time.Time, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))), nil
}

// noteClock keeps what the clock of a peer shows, and logs if it differs.
func (n *Node) noteClock(id ID, c clock) {
	k := &n.clocks
	k.mu.Lock()
	if n.host.Network().Connectedness(id) == network.NotConnected {
		k.mu.Unlock()
		return
	}
	if c.asked || !k.peers[id].asked {
		k.peers[id] = c
	}
	off, of := k.offLocked()
	now := time.Now()
	warn := off != 0 && (k.warned.IsZero() || now.Sub(k.warned) >= clockWarnInterval)
	tell := c.ahead.Abs() > clockTolerance && (c.ahead-off).Abs() > clockTolerance &&
		(c.asked || k.logged.IsZero() || now.Sub(k.logged) >= clockLogInterval) && k.told.add(id)
	if warn {
		k.warned = now
	}
	if tell && !c.asked {
		k.logged = now
	}
	k.mu.Unlock()
	if warn {
		n.log.Warn("the clock of this machine is off, compared with those of most peers; set it right, or connections will fail", "clock", aheadText(-off), "peers", of)
	}
	if tell {
		n.log.Warn("the clocks of this machine and of a peer differ; connections fail when they differ by more than an hour", "peer", id, "clock of the peer", aheadText(c.ahead))
	}
}

// offLocked returns by how much most peers that this node asked are ahead of it,
// or 0 if that is within the tolerance, or too few were asked. Peers that asked
// do not count: anybody can make many.
func (k *clocks) offLocked() (off time.Duration, of int) {
	var ahead []time.Duration
	for _, c := range k.peers {
		if c.asked {
			ahead = append(ahead, c.ahead)
		}
	}
	if len(ahead) < clockPeersMin {
		return 0, len(ahead)
	}
	slices.Sort(ahead)
	median := ahead[len(ahead)/2]
	if median.Abs() <= clockTolerance {
		return 0, len(ahead)
	}
	return median, len(ahead)
}

// aheadText says how far a clock is ahead, or behind.
func aheadText(d time.Duration) string {
	if d < 0 {
		return d.Abs().Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead"
}

// forgetClock forgets the clock of a peer that has gone.
func (n *Node) forgetClock(id ID) {
	n.clocks.mu.Lock()
	defer n.clocks.mu.Unlock()
	delete(n.clocks.peers, id)
}

// clockAhead returns how far the clock of a connected peer is ahead, or 0 if that
// is not known.
func (n *Node) clockAhead(id ID) time.Duration {
	n.clocks.mu.Lock()
	defer n.clocks.mu.Unlock()
	return n.clocks.peers[id].ahead
}

// clockError returns an error that explains why a certificate was refused, or nil
// if text, which TLS says, is of something else.
func (n *Node) clockError(text string) error {
	who := ""
	switch {
	case strings.Contains(text, "certificate has expired or is not yet valid"):
		who = "its certificate is not valid yet, or not any more"
	case strings.Contains(text, "bad certificate"): // what TLS has a word for
		who = "it does not accept the certificate of this peer"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s, which happens when the clocks of the two differ by more than an hour; the clock here shows %s (%s)",
		ErrUnreachable, who, n.hooks.Now().UTC().Format("2006-01-02 15:04 MST"), text)
}
