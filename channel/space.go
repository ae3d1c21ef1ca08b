package channel

import (
	"context"
	"slices"
)

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

	// Select does exactly one of the alternatives, whose ends this space
	// opened, and returns its index and outcome. It waits until one can be
	// done, or if it shall not wait, until it is known that none can be
	// done now; it then returns -1 and no error. When ctx ends first, all
	// are withdrawn and it returns -1 and ctx's error.
	Select(ctx context.Context, alternatives []Alternative, wait bool) (int, error)
}

// An Alternative is one of the operations that a Select chooses from: a send
// if it has a Payload, a receive if it has a Sink.
type Alternative struct {
	End     Endpoint
	Payload Payload
	Sink    Sink
}

// An Endpoint is one side's end of a channel, below the level of types.
// [Channel] is what programs use.
type Endpoint interface {
	// Send hands p to one receiver and returns nil once that receiver has
	// it. The endpoint does not keep p after it returned. When ctx ends
	// first, the operation is withdrawn; if it had already been matched,
	// Send reports what became of it.
	Send(ctx context.Context, p Payload) error

	// SendAsync begins to send p, behind all that was sent on this endpoint
	// before, and does not wait. It calls done once, with what Send would
	// have returned, at any time from now on and from any goroutine: done
	// must neither block nor use the endpoint. The endpoint does not use p
	// after that.
	SendAsync(p Payload, done func(error)) Withdrawer

	// Receive waits for one sender and gives its value to s. A nil error
	// says that s.Accept was called, once; any other that it was not.
	Receive(ctx context.Context, s Sink) error

	// ReceiveAsync begins to receive a value for s, and does not wait. It calls
	// done once, with what Receive would have returned, at any time from now on
	// and from any goroutine: done must neither block nor use the endpoint.
	ReceiveAsync(s Sink, done func(error)) Withdrawer

	// Close ends the channel for everyone. Sends that wait are still
	// received; later ones return ErrClosed, and so do receives when there
	// is nothing left. A nil error says that the channel's matchmaker knows.
	Close(ctx context.Context) error

	// Closed reports whether the endpoint was left, or this side knows
	// that the channel is closed for everyone.
	Closed() bool

	// Balance returns how many sends more than receives wait on the channel.
	Balance(ctx context.Context) (int, error)

	// Leave gives the endpoint up. Operations of this endpoint that still
	// wait, and later ones, return ErrClosed. Leave is idempotent.
	Leave() error
}

// A Withdrawer takes back what has begun.
type Withdrawer interface {
	// Withdraw ends the operation with err if it still can. It does not
	// wait. Of several operations the last is withdrawn first, lest one
	// overtakes another.
	Withdraw(err error)
}

// A Payload is a value on its way to a receiver. It is encoded only if it has
// to leave the process.
type Payload interface {
	// Encode returns the value as bytes of at most MaxValue, which the
	// caller must not change. Up to MaxReused of them are valid until the
	// operation is over; more may be kept.
	Encode() ([]byte, error)
}

// Bytes is a payload that is encoded already, in bytes that never change.
type Bytes []byte

// Encode returns b.
func (b Bytes) Encode() ([]byte, error) { return b, nil }

// Copy returns the value of p as bytes that may be kept.
func Copy(p Payload) ([]byte, error) {
	b, err := p.Encode()
	if _, kept := p.(Bytes); kept || err != nil || len(b) > MaxReused {
		return b, err
	}
	return slices.Clone(b), nil
}

// A Sink is where a receive wants its value.
type Sink interface {
	// Accept takes the value of p, which is valid only during the call. It
	// may be called from any goroutine and must not block. A space has encoded
	// the value before, unless the sink is a Taker that takes it as it is: what
	// cannot be encoded is an error of its send.
	Accept(p Payload)
}

// A Taker is a sink that takes some values without their being encoded.
type Taker interface {
	Sink

	// Takes reports whether p is such a value. It may be called from any
	// goroutine and must not block.
	Takes(p Payload) bool
}
