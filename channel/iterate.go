package channel

import (
	"context"
	"errors"
	"iter"
)

// SendAll sends the values of seq one after the other, and stops at the first
// that cannot be sent. Stackless calls it send_sequence.
func (c *Channel[T]) SendAll(ctx context.Context, seq iter.Seq[T]) error {
	for v := range seq {
		if err := c.Send(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// All returns an iterator over what is received from now on:
//
//	for v, err := range c.All(ctx) {
//
// An error that a sender sent, and a value of another type, come as a
// [SentError] or a [TypeError], and the iteration goes on. It ends when the
// channel is left or closed, without an error, or with the error of ctx or of
// the operation that failed. A value is received only when the loop asks for
// it: leaving the loop loses none.
func (c *Channel[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := c.Receive(ctx)
			var sent *SentError
			switch {
			case err == nil, errors.As(err, &sent), errors.Is(err, ErrType):
				if !yield(v, err) {
					return
				}
			case errors.Is(err, ErrClosed):
				return
			default:
				yield(v, err)
				return
			}
		}
	}
}
