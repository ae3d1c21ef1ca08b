package p2p

import "errors"

// Errors that callers may branch on with errors.Is.
var (
	// ErrClosed is returned by every call after [Node.Close].
	ErrClosed = errors.New("node is closed")
	// ErrSelf is returned when a node is asked to reach itself.
	ErrSelf = errors.New("that is this peer itself")
	// ErrUnknownPeer is returned when no address of the peer is known.
	ErrUnknownPeer = errors.New("no address of the peer is known")
	// ErrUnreachable is returned when none of the peer's addresses answers as
	// that peer.
	ErrUnreachable = errors.New("peer cannot be reached")
	// ErrBlocked is returned when the peer is blocked here, see [Node.Block].
	ErrBlocked = errors.New("peer is blocked here")
	// ErrProtocol is returned when the peer speaks none of the protocols asked
	// for.
	ErrProtocol = errors.New("peer does not speak the protocol")
)
