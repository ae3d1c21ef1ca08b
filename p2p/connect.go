package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// Connect connects to the peer at addr, a full multiaddr that ends in /p2p/ and
// the peer's ID, such as one of [Node.Addrs]; an address that begins with
// /dnsaddr or /dns4 is looked up. An address with /p2p-circuit/ in it is that of
// a relay which the peer uses. It returns the peer's ID when the peer has answered
// on the connection, for which it has ten seconds. When the two are connected
// already, and not only through a relay, no other connection is made.
//
// # Errors
//
// [ErrSelf] for this node's own ID, [ErrUnreachable] when nothing answers there,
// another peer does, or the peer ends the connection at once, as one does that has
// blocked this node, or whose clock differs by more than an hour; [ErrBlocked], [ErrClosed], or the context's error. A malformed
// address has no sentinel.
func (n *Node) Connect(ctx context.Context, addr string) (ID, error) {
	info, err := parseFull(addr)
	if err != nil {
		return "", err
	}
	if info.ID == n.ID() {
		return "", fmt.Errorf("p2p: connect to %s: %w", addr, ErrSelf)
	}
	if err := n.usable(ctx); err != nil {
		return "", fmt.Errorf("p2p: connect to %s: %w", addr, err)
	}
	// Who asks for an address by hand wants a try now, not the rest of the
	// pause after an earlier failure.
	n.forgetFailures(info.ID)
	if slices.ContainsFunc(info.Addrs, func(a ma.Multiaddr) bool { return relayOf(a) != "" }) {
		ctx = network.WithAllowLimitedConn(ctx, "connect")
	} else { // a relayed connection to the peer is not what was asked for
		ctx = network.WithForceDirectDial(ctx, "connect")
	}
	err = n.reachPeer(ctx, *info)
	for range bothDialedMax {
		if err == nil || !bothDialed(err) || !pause(ctx, rand.N(bothDialedPause)) {
			break
		}
		n.forgetFailures(info.ID)
		err = n.reachPeer(ctx, *info)
	}
	if err != nil {
		return "", fmt.Errorf("p2p: connect to %s: %w", addr, err)
	}
	return info.ID, nil
}

// Two peers that dial each other over TCP at the same moment may get one connection
// on which both take themselves for the client. They dial again, so often and after
// a random pause of up to bothDialedPause.
const bothDialedMax, bothDialedPause = 3, 300 * time.Millisecond

// bothDialed reports whether a handshake failed because the other side dialed, too.
func bothDialed(err error) bool {
	return strings.Contains(err.Error(), "received unexpected handshake message")
}

// pause waits, and reports whether ctx still stands.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// A nameError says that the name of a machine has no address.
type nameError struct {
	name string
	err  error
}

func (e *nameError) Error() string {
	return fmt.Sprintf("the name %q could not be resolved: %v", e.name, e.err)
}

// unresolved says which name in addrs has no address, and why. The swarm drops such
// addresses without a word.
func unresolved(ctx context.Context, addrs []ma.Multiaddr) error {
	for _, a := range addrs {
		if !madns.Matches(a) {
			continue
		}
		first, _ := ma.SplitFirst(a)
		switch found, err := madns.DefaultResolver.Resolve(ctx, a); {
		case err != nil:
			return &nameError{first.Value(), err}
		case len(found) == 0:
			return &nameError{first.Value(), errors.New("it has no address")}
		}
	}
	return nil
}

// forgetFailures has the addresses of a peer be dialed at once, though they
// failed a moment ago.
func (n *Node) forgetFailures(id ID) {
	if s, ok := n.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(id)
	}
}

// parseFull reads a multiaddr with a /p2p/ part at its end.
func parseFull(text string) (*peer.AddrInfo, error) {
	const example = "want one such as /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW..."
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, fmt.Errorf("p2p: %q is not a multiaddr, %s: %w", text, example, err)
	}
	if _, last := ma.SplitLast(a); last == nil || last.Code() != ma.P_P2P {
		return nil, fmt.Errorf("p2p: address %q does not say which peer is there, %s", text, example)
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return nil, fmt.Errorf("p2p: address %q: %w", text, err)
	}
	if len(info.Addrs) == 0 {
		return nil, fmt.Errorf("p2p: address %q says which peer but not where it is, %s", text, example)
	}
	return info, nil
}

// reason turns an error of a dial into one of this package's: what the caller
// may branch on, and libp2p's words on one line.
func (n *Node) reason(ctx context.Context, err error) error {
	if closed := n.usable(ctx); closed != nil {
		return closed
	}
	var mismatch sec.ErrPeerIDMismatch
	var name *nameError
	switch {
	case errors.As(err, &name):
		return &DialError{kind: ErrUnreachable, detail: name.Error()}
	case errors.As(err, &mismatch):
		return fmt.Errorf("%w: another peer answers there, %s", ErrUnreachable, mismatch.Actual)
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return ErrBlocked
	case errors.Is(err, swarm.ErrNoAddresses), errors.Is(err, network.ErrNoRemoteAddrs):
		return ErrUnknownPeer
	}
	if err := n.clockError(oneLine(err)); err != nil {
		return err
	}
	if allRefused(err) {
		return &DialError{kind: errRefused, detail: oneLine(err)}
	}
	return &DialError{kind: ErrUnreachable, detail: oneLine(err)}
}

// A DialError wraps [ErrUnreachable], and tells of each address what answered
// there. That is for who runs the node: others learn from it what is on its
// network.
type DialError struct {
	kind   error
	detail string
}

func (e *DialError) Error() string { return e.kind.Error() + ": " + e.detail }

// Unwrap returns the kind of the error.
func (e *DialError) Unwrap() error { return e.kind }

// Public returns the text for others: the kind alone.
func (e *DialError) Public() string { return e.kind.Error() }

// errRefused is ErrUnreachable of a peer at each of whose addresses a machine
// answers and says that nobody listens.
var errRefused = fmt.Errorf("%w", ErrUnreachable)

// allRefused reports whether all addresses were dialed, and allRefused the connection.
func allRefused(err error) bool {
	var dial *swarm.DialError
	if !errors.As(err, &dial) || len(dial.DialErrors) == 0 || dial.Skipped > 0 {
		return false
	}
	for _, e := range dial.DialErrors {
		if !errors.Is(e.Cause, syscall.ECONNREFUSED) {
			return false
		}
	}
	return true
}

// oneLine says what went wrong in a dial, without what libp2p's several lines
// repeat.
func oneLine(err error) string {
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		return strings.Join(strings.Fields(err.Error()), " ")
	}
	var parts []string
	for _, e := range dial.DialErrors {
		parts = append(parts, fmt.Sprintf("%s: %v", e.Address, e.Cause))
	}
	if dial.Cause != nil && len(parts) == 0 {
		parts = append(parts, dial.Cause.Error())
	}
	return strings.Join(strings.Fields(strings.Join(parts, "; ")), " ")
}
