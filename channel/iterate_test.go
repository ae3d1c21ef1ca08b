package channel_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/dstackless/dstackless/channel"
)

func TestSendAllAndAll(t *testing.T) {
	for name, space := range map[string]*memory{"as it is": {}, "as bytes": {encodes: true}} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			from, err := channel.Open[int](ctx, space, "numbers")
			if err != nil {
				t.Fatal(err)
			}
			to, err := channel.Open[int](ctx, space, "numbers")
			if err != nil {
				t.Fatal(err)
			}
			sent := make(chan error, 1)
			go func() {
				err := from.SendAll(ctx, slices.Values([]int{1, 2}))
				sent <- errors.Join(err,
					from.SendError(ctx, context.DeadlineExceeded),
					from.SendError(ctx, io.ErrUnexpectedEOF),
					from.SendAll(ctx, slices.Values([]int{3, 4})))
			}()
			var got []int
			var errs []error
			for v, err := range to.All(ctx) {
				if err != nil {
					errs = append(errs, err)
					continue
				}
				if got = append(got, v); len(got) == 4 {
					break
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if !slices.Equal(got, []int{1, 2, 3, 4}) {
				t.Errorf("received %v", got)
			}
			var s *channel.SentError
			if len(errs) != 2 || !errors.As(errs[0], &s) || !errors.Is(errs[0], context.DeadlineExceeded) ||
				!errors.As(errs[1], &s) || s.Err.Error() != io.ErrUnexpectedEOF.Error() {
				t.Errorf("received the errors %v", errs)
			}
		})
	}
}

func TestAllEnds(t *testing.T) {
	space := &memory{}
	c, err := channel.Open[int](t.Context(), space, "ends")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.All(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if err := c.SendAll(ctx, slices.Values([]int{1})); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := c.SendError(t.Context(), nil); err == nil {
		t.Error("no error is sent as an error")
	}
	c.Leave()
	for v, err := range c.All(t.Context()) {
		t.Errorf("%d, %v after leaving", v, err)
	}
}

// A Ref goes over a channel inside another value, and its receiver opens what
// it never knew the name of.
func TestRef(t *testing.T) {
	type request struct {
		Question string
		Reply    channel.Ref[string]
	}
	ctx, space := t.Context(), &memory{encodes: true}
	requests, err := channel.Open[request](ctx, space, "requests")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		r, err := requests.Receive(ctx)
		if err != nil {
			served <- err
			return
		}
		reply, err := r.Reply.Open(ctx, space)
		if err == nil {
			err = reply.Send(ctx, r.Question+" yes")
		}
		served <- err
	}()
	private, err := channel.Open[string](ctx, space, "nobody else knows this")
	if err != nil {
		t.Fatal(err)
	}
	if err := requests.Send(ctx, request{"is it?", private.Ref()}); err != nil {
		t.Fatal(err)
	}
	if got, err := private.Receive(ctx); got != "is it? yes" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
