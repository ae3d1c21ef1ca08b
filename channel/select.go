package channel

import (
	"context"
	"errors"
	"fmt"
)

// A Case is one of the things that a [Select] may do.
type Case struct {
	space       Space
	alternative Alternative
	finish      func(error) error // of a case that was chosen
	isDefault   bool
}

// Sending is the case that v is sent.
func (c *Channel[T]) Sending(v T) Case {
	return Case{
		space:       c.space,
		alternative: Alternative{End: c.end, Payload: &outgoing[T]{value: v}},
		finish: func(err error) error {
			if err != nil {
				return fmt.Errorf("channel: send on %q: %w", string(c.name), err)
			}
			return nil
		},
	}
}

// Receiving is the case that a value is received, which is then in *v.
func (c *Channel[T]) Receiving(v *T) Case {
	box := new(incoming[T])
	return Case{
		space:       c.space,
		alternative: Alternative{End: c.end, Sink: box},
		finish: func(err error) error {
			if err == nil {
				*v, err = box.take()
			}
			if err != nil {
				return fmt.Errorf("channel: receive on %q: %w", string(c.name), err)
			}
			return nil
		},
	}
}

// Default is the case that is chosen when no other can be done at once. Whether
// one can is known after a round trip to the matchmakers of the channels: a
// Select with a default takes that long, and a second at most. A channel whose
// matchmaker cannot be reached now cannot do anything now.
func Default() Case { return Case{isDefault: true} }

// Select waits until one of the cases can be done, does exactly that one, and
// returns its index and outcome. The channels may be on any peers, and others
// may select among them at the same time. Of several cases that can be done at
// once it chooses by chance, though what can be done on this peer is often done
// before another peer has answered: a case that was passed over 16 times is the
// first to be tried, for a second at most. A case on a closed channel can be
// done: its outcome is [ErrClosed].
//
// When ctx ends first nothing is done, and Select returns -1 and ctx's error;
// if a peer is just taking the value of a case, Select waits for the outcome
// like [Channel.Send], and that case may then be in doubt, but no other is done.
// All channels must have been opened in one space.
func Select(ctx context.Context, cases ...Case) (int, error) {
	fallback := -1
	var space Space
	alternatives := make([]Alternative, 0, len(cases))
	indices := make([]int, 0, len(cases))
	for i, c := range cases {
		switch {
		case c.isDefault && fallback >= 0:
			return -1, errors.New("channel: select: two defaults")
		case c.isDefault:
			fallback = i
			continue
		case c.space == nil:
			return -1, fmt.Errorf("channel: select: case %d is empty; make it with Sending, Receiving or Default", i)
		case space != nil && c.space != space:
			return -1, errors.New("channel: select: the channels are not all of one space")
		}
		space = c.space
		alternatives, indices = append(alternatives, c.alternative), append(indices, i)
	}
	if err := ctx.Err(); err != nil {
		return -1, fmt.Errorf("channel: select: %w", err)
	}
	if space == nil {
		if fallback >= 0 {
			return fallback, nil
		}
		<-ctx.Done() // like a select statement without cases
		return -1, fmt.Errorf("channel: select: %w", ctx.Err())
	}
	n, err := space.Select(ctx, alternatives, fallback < 0)
	switch {
	case n >= 0:
		return indices[n], cases[indices[n]].finish(err)
	case err != nil:
		return -1, fmt.Errorf("channel: select: %w", err)
	}
	return fallback, nil
}
