package network_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/channel"
)

// receive receives until ctx ends, or the channel is closed for everyone.
func (a *actor) receive(ctx context.Context) error {
	for {
		if err := a.open(ctx); err != nil && ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", a.who, err)
		}
		for open := true; open; {
			if a.r.IntN(50) == 0 && !a.w.fair.Load() {
				a.c.Leave()
				a.left = true
			}
			moment, cancel := a.moment(ctx)
			err := a.take(moment)
			over := !fine(moment, err)
			cancel()
			open = !errors.Is(err, channel.ErrClosed)
			switch {
			case over:
				return fmt.Errorf("%s: %w", a.who, err)
			case ctx.Err() != nil:
				return nil
			}
		}
		if _, life, _ := a.w.play.at(ctx, a.at); a.w.closing.Load() && !a.left && life == a.life {
			return nil
		}
	}
}

// take receives something in the actor's style.
func (a *actor) take(ctx context.Context) error {
	switch a.style {
	case "selecting receiver":
		return a.receiveEither(ctx)
	case "iterating receiver":
		return a.receiveAll(ctx)
	}
	_, err := a.w.h.Receive(ctx, a.who, func(ctx context.Context) (value, error) {
		return arrived(a.c.Receive(ctx))
	})
	return err
}

func (a *actor) receiveAll(ctx context.Context) error {
	done := a.w.h.Receiving(ctx, a.who)
	for i, err := range a.c.All(ctx) {
		v, err := arrived(i, err)
		if done(v, err); err != nil || a.r.IntN(10) == 0 {
			return err
		}
		done = a.w.h.Receiving(ctx, a.who)
	}
	done(value{}, channel.ErrClosed)
	return channel.ErrClosed
}

// receiveEither receives from one of two channels, or may find that it cannot.
func (a *actor) receiveEither(ctx context.Context) error {
	var c, side item
	mainly, aside := a.w.h.Receiving(ctx, a.who), a.w.aside.Receiving(ctx, a.who)
	n, err := channel.Select(ctx, a.cases(a.c.Receiving(&c), a.side.Receiving(&side))...)
	var v value
	switch n {
	case 0:
		v, err = arrived(c, err)
	case 1:
		v, err = arrived(side, err)
	}
	mainly(v, outcome(n, 0, err))
	aside(v, outcome(n, 1, err))
	return err
}

// arrived returns the value that came, as it is or as an error that was sent.
func arrived(i item, err error) (value, error) {
	var sent *channel.SentError
	if !errors.As(err, &sent) {
		return i.Value, err
	}
	var v value
	_, err = fmt.Sscanf(sent.Err.Error(), "%d.%d", &v.Sender, &v.Seq)
	return v, err
}
