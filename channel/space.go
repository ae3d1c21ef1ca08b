package channel

import "context"

// A Space is where channels live: within one space, the same name is the same
// channel. Peers that are connected share one space; a program inside a
// tasklet sees the space of the peer that hosts it.
//
// A Space and the endpoints that it opens are safe for concurrent use.
type Space interface {
	// Open returns this side's end of the named channel. It does not wait
	// for other peers: a channel works at once between the goroutines of
	// one process, and with other peers as they are found.
	//
	// The error wraps ErrName for a name that is not valid, ErrLimit when
	// the space has too many channels open, ErrClosed when it is shut down.
	Open(ctx context.Context, name Name) (Endpoint, error)
}

// An Endpoint is one side's end of a channel, below the level of types.
// [Channel] is what programs use.
type Endpoint interface {
	// Send hands p to one receiver and returns nil once that receiver has
	// it. The endpoint does not keep p after it returned. When ctx ends
	// first, the operation is withdrawn; if it had already been matched,
	// Send reports what became of it.
	Send(ctx context.Context, p Payload) error

	// Receive waits for one sender and gives its value to s. A nil error
	// says that s.Accept was called, once; any other that it was not.
	Receive(ctx context.Context, s Sink) error

	// Close ends the channel for everyone. Sends that wait are still
	// received; later ones return ErrClosed, and so do receives when there
	// is nothing left. A nil error says that the channel's matchmaker knows.
	Close(ctx context.Context) error

	// Leave gives the endpoint up. Operations of this endpoint that still
	// wait, and later ones, return ErrClosed. Leave is idempotent.
	Leave() error
}

// A Payload is a value on its way to a receiver. It is encoded only if it has
// to leave the process.
type Payload interface {
	// Encode returns the value as bytes of at most MaxValue, which the
	// caller must not change.
	Encode() ([]byte, error)
}

// Bytes is a payload that is encoded already.
type Bytes []byte

// Encode returns b.
func (b Bytes) Encode() ([]byte, error) { return b, nil }

// A Sink is where a receive wants its value.
type Sink interface {
	// Accept takes the value of p, which is valid only during the call. It
	// may be called from any goroutine and must not block.
	Accept(p Payload)
}
