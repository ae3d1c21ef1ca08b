package network_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/channel"
)

// send sends the values from first to before last.
func (a *actor) send(ctx context.Context, first, last int) error {
	if a.c == nil {
		if err := a.open(ctx); err != nil {
			return err
		}
	}
	for seq := first; seq < last; {
		if a.r.IntN(50) == 0 && !a.stays {
			a.c.Leave()
			a.left = true
		}
		moment, cancel := a.moment(ctx)
		n, err := a.act(moment, seq, last)
		over := !fine(moment, err)
		cancel()
		seq += n
		switch {
		case over:
			return fmt.Errorf("%s: %w", a.who, err)
		case ctx.Err() != nil:
			return fmt.Errorf("%s is stuck: %w", a.who, err)
		case errors.Is(err, channel.ErrClosed):
			if err := a.open(ctx); err != nil {
				return fmt.Errorf("%s: %w", a.who, err)
			}
		}
	}
	return nil
}

// act sends something in the actor's style, from seq on, and returns how many
// values that was.
func (a *actor) act(ctx context.Context, seq, last int) (int, error) {
	h, i := &a.w.h, a.item(seq)
	switch a.style {
	case "sequence sender":
		return a.sendAll(ctx, seq, min(seq+4, last))
	case "pipelining sender":
		return a.sendAsync(ctx, seq, min(seq+6, last))
	case "selecting sender":
		return a.sendEither(ctx, i)
	case "error sender":
		return 1, h.Send(ctx, a.who, i.Value, func(ctx context.Context, v value) error {
			return a.c.SendError(ctx, errors.New(v.String()))
		})
	}
	return 1, h.Send(ctx, a.who, i.Value, func(ctx context.Context, _ value) error { return a.c.Send(ctx, i) })
}

func (a *actor) item(seq int) item { return item{value{a.id, seq}, make([]byte, a.w.size)} }

func (a *actor) sendAll(ctx context.Context, first, last int) (n int, err error) {
	var done func(error)
	err = a.c.SendAll(ctx, func(yield func(item) bool) {
		for seq := first; seq < last; seq++ {
			n++
			i := a.item(seq)
			done = a.w.h.Sending(ctx, a.who, i.Value)
			if !yield(i) {
				return
			}
			done(nil)
		}
	})
	if err != nil {
		done(err)
	}
	return n, err
}

func (a *actor) sendAsync(ctx context.Context, first, last int) (int, error) {
	var waits []func() error
	for seq := first; seq < last; seq++ {
		i := a.item(seq)
		done := a.w.h.Sending(ctx, a.who, i.Value)
		p := a.c.SendAsync(ctx, i)
		waits = append(waits, func() error {
			err := p.Wait()
			done(err)
			return err
		})
	}
	var worst error
	for _, wait := range waits {
		if err := wait(); !fine(ctx, err) || errors.Is(err, channel.ErrClosed) {
			worst = err
		}
	}
	return len(waits), worst
}

// sendEither sends i on one of two channels, or may find that it cannot.
func (a *actor) sendEither(ctx context.Context, i item) (int, error) {
	mainly, aside := a.w.h.Sending(ctx, a.who, i.Value), a.w.aside.Sending(ctx, a.who, i.Value)
	n, err := channel.Select(ctx, a.cases(a.c.Sending(i), a.side.Sending(i))...)
	mainly(outcome(n, 0, err))
	aside(outcome(n, 1, err))
	if n == 2 {
		return 0, nil
	}
	return 1, err
}
