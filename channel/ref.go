package channel

import "context"

// A Ref names a channel of values of type T. It can itself be sent over a
// channel, alone or inside other values, and whoever receives it can open the
// channel without having known its name. To hand out a Ref is to hand out the
// name.
type Ref[T any] struct {
	Name Name
}

// Ref returns what others need to open the channel.
func (c *Channel[T]) Ref() Ref[T] { return Ref[T]{c.name} }

// Open opens the channel in space.
func (r Ref[T]) Open(ctx context.Context, space Space) (*Channel[T], error) {
	return Open[T](ctx, space, r.Name)
}
