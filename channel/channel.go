// Package channel is typed channels that are shared by name.
//
// A channel is a rendezvous: Send returns when a receiver has the value,
// Receive when a sender gave one. Any number of goroutines, tasklets and peers
// may send and receive on one name. These rules hold:
//
//  1. A value whose Send returned nil was received exactly once.
//  2. A value whose Send returned any other error was never received, with
//     one exception: [ErrInDoubt], when the peer that was taking the value was
//     lost in the act. Nothing is ever received twice.
//  3. Values from one goroutine arrive in the order in which it sent them, as
//     seen by one receiver. Send, SendAsync and Select alike keep this order on
//     one end of a channel.
//  4. A context that ends withdraws the operation. If it had already been
//     matched, the true outcome is returned instead of the context's error.
//
// Between goroutines of one process a value is handed over as it is, like on
// a Go channel: what it points to is shared. Between processes it travels as
// gob, or raw if the type is []byte. What the receiver would not decode is then
// refused before it is offered: the Send fails, and nothing is spent. That is so
// for a nil pointer, a value that contains itself, and one over a limit: see
// [MaxValue].
//
// # What is not here
//
// Stackless lets a channel prefer its senders or its receivers, which says who
// of the two that met runs next. Go's scheduler decides that, and between
// machines both run.
//
// The package knows no network. It compiles for GOOS=wasip1, and the same
// source line opens a channel in a native program, where the space is a
// *dstackless.Peer, and in a moving one, where it is guest.Space().
package channel

import (
	"context"
	"fmt"
)

// A Channel is a typed end of a named channel. It is safe for concurrent use.
type Channel[T any] struct {
	name  Name
	space Space
	end   Endpoint
	flow  flow

	// Values are passed through recycled boxes, so that a rendezvous within
	// a process allocates nothing.
	outgoing spare[outgoing[T]]
	incoming spare[incoming[T]]
	buffers  spare[[]byte] // that values are encoded into
}

// Open returns the channel called name in space, for values of type T. All
// who use the name should open it with one type; a receiver that is sent
// another gets a [TypeError].
func Open[T any](ctx context.Context, space Space, name Name) (*Channel[T], error) {
	if err := name.Validate(); err != nil {
		return nil, fmt.Errorf("channel: open %.40q: %w", string(name), err)
	}
	end, err := space.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("channel: open %q: %w", string(name), err)
	}
	return &Channel[T]{name: name, space: space, end: end}, nil
}

// Name returns the channel's name.
func (c *Channel[T]) Name() Name { return c.name }

// Send waits until a receiver has v.
//
// When ctx ends before a receiver was found, v is withdrawn and Send returns
// ctx's error: it was not and will not be received. When ctx ends while a
// receiver at another peer is taking v, Send waits a few seconds more for the
// outcome; if none comes, the error is an [InDoubtError].
func (c *Channel[T]) Send(ctx context.Context, v T) error {
	return c.send(ctx, outgoing[T]{value: v})
}

// SendError is Send of an error in place of a value: the receiver's Receive
// returns a [SentError]. Stackless calls it send_exception.
func (c *Channel[T]) SendError(ctx context.Context, err error) error {
	if err == nil {
		return fmt.Errorf("channel: send on %q: SendError of no error", string(c.name))
	}
	return c.send(ctx, outgoing[T]{err: err})
}

func (c *Channel[T]) send(ctx context.Context, o outgoing[T]) error {
	box := c.outgoing.get()
	if box == nil {
		box = new(outgoing[T])
	}
	*box = o
	box.spare = &c.buffers
	err := c.end.Send(ctx, box)
	box.forget()
	c.outgoing.put(box)
	if err != nil {
		return fmt.Errorf("channel: send on %q: %w", string(c.name), err)
	}
	return nil
}

// Receive waits until a sender gives a value.
//
// When ctx ends first, no value is taken and Receive returns ctx's error. A
// value that cannot be decoded as T is spent, and Receive returns a
// [TypeError].
func (c *Channel[T]) Receive(ctx context.Context) (T, error) {
	box := c.incoming.get()
	if box == nil {
		box = new(incoming[T])
	}
	err := c.end.Receive(ctx, box)
	var v T
	if err == nil {
		v, err = box.take()
	}
	*box = incoming[T]{}
	c.incoming.put(box)
	if err != nil {
		return v, fmt.Errorf("channel: receive on %q: %w", string(c.name), err)
	}
	return v, nil
}

// Close ends the channel for everyone, wherever they are. Sends that wait are
// still received; later ones return [ErrClosed], and so do receives when there
// is nothing left for them. A send that is begun elsewhere before the word has
// come there is received, or returns ErrClosed.
//
// Close returns when the word cannot get lost any more. When ctx ends first it
// is on its way. The channel stays closed for as long as somebody has it open.
// Closing a closed channel does nothing.
func (c *Channel[T]) Close(ctx context.Context) error {
	if err := c.end.Close(ctx); err != nil {
		return fmt.Errorf("channel: close %q: %w", string(c.name), err)
	}
	return nil
}

// Closed reports whether this end was left, or the channel is closed for
// everyone as far as is known here. Values that were sent before may still be
// received: [Channel.All] ends when there are none left.
func (c *Channel[T]) Closed() bool { return c.end.Closed() }

// Balance returns how many senders wait on the channel, wherever they are, or
// how many receivers as a negative number. It is a look at something that
// moves: it asks the channel's matchmaker, which costs a round trip. While none
// is known, it counts those who wait here.
func (c *Channel[T]) Balance(ctx context.Context) (int, error) {
	n, err := c.end.Balance(ctx)
	if err != nil {
		return 0, fmt.Errorf("channel: balance of %q: %w", string(c.name), err)
	}
	return n, nil
}

// Leave gives this end up: its waiting operations and later ones return
// [ErrClosed]. The channel goes on for everyone else.
func (c *Channel[T]) Leave() error { return c.end.Leave() }
