package network_test

import (
	"context"

	"github.com/dstackless/dstackless/channel"
)

// An asynchronous space is one whose receives are begun asynchronously.
type asynchronous struct{ channel.Space }

func (s asynchronous) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	e, err := s.Space.Open(ctx, name)
	return asynchronousEnd{e}, err
}

type asynchronousEnd struct{ channel.Endpoint }

func (e asynchronousEnd) Receive(ctx context.Context, s channel.Sink) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 2) // the second one would be a mistake
	w := e.ReceiveAsync(s, func(err error) { done <- err })
	defer context.AfterFunc(ctx, func() { w.Withdraw(ctx.Err()) })()
	err := <-done
	if len(done) > 0 {
		panic("a receive ended twice")
	}
	return err
}
