package network

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// An endpoint implements [channel.Endpoint].
type endpoint struct {
	member *member
	left   bool // guarded by member.mu
}

var operations = sync.Pool{New: func() any {
	return &operation{done: make(chan struct{}, 1)}
}}

func recycle(op *operation) {
	done := op.done
	*op = operation{done: done}
	operations.Put(op)
}

func (e *endpoint) Send(ctx context.Context, p channel.Payload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := e.member
	m.mu.Lock()
	if err := e.ready(); err != nil || m.closed {
		m.mu.Unlock()
		return cmp.Or(err, channel.ErrClosed)
	}
	if r := m.receives.first; r != nil {
		r.sink.Accept(p)
		m.conclude(r, nil)
		m.mu.Unlock()
		r.done <- struct{}{}
		return nil
	}
	op := operations.Get().(*operation)
	op.payload, op.end = p, e
	m.admit(op)
	m.submitSend(op)
	m.mu.Unlock()
	return e.await(ctx, op)
}

func (e *endpoint) Receive(ctx context.Context, s channel.Sink) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := e.member
	m.mu.Lock()
	if err := e.ready(); err != nil {
		m.mu.Unlock()
		return err
	}
	if op := m.sends.first; op != nil {
		s.Accept(op.payload)
		m.conclude(op, nil)
		m.mu.Unlock()
		op.done <- struct{}{}
		return nil
	}
	op := operations.Get().(*operation)
	op.sink, op.end = s, e
	m.admit(op)
	m.submitReceive(op)
	m.unlock()
	return e.await(ctx, op)
}

// ready reports why e cannot take an operation.
func (e *endpoint) ready() error {
	switch {
	case e.left:
		return channel.ErrClosed
	case e.member.gone:
		return channel.ErrClosed
	case e.member.pending >= MaxPending:
		return fmt.Errorf("%w: %d operations wait on the channel", channel.ErrLimit, MaxPending)
	}
	return nil
}

// await waits until op is done or ctx ends.
func (e *endpoint) await(ctx context.Context, op *operation) error {
	if cancelled := ctx.Done(); cancelled == nil {
		<-op.done
	} else {
		select {
		case <-op.done:
		case <-cancelled:
			e.abandon(op, ctx.Err())
		}
	}
	err := op.err
	recycle(op)
	return err
}

// abandon withdraws op because of err. If it is on its way to a receiver,
// abandon waits for the outcome, and gives up after the grace period.
func (e *endpoint) abandon(op *operation, err error) {
	m := e.member
	m.mu.Lock()
	switch {
	case op.in != nil:
		m.finish(op, err)
	case op.offered && op.offer.via == nil && !op.offer.again: // a peer is dialled, and nothing was said
		m.settleGone(op)
		m.finish(op, err)
	case op.offered:
		op.abandoned = err
	}
	m.unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-op.done:
		return
	case <-timer.C:
	}
	m.mu.Lock()
	if op.offered {
		m.doubt(op)
	}
	m.unlock()
	<-op.done
}

func (e *endpoint) Leave() error {
	m := e.member
	m.mu.Lock()
	if !e.left {
		e.left = true
		m.endWaiting(func(op *operation) bool { return op.end == e })
		delete(m.ends, e)
	}
	m.unlock()
	return nil
}
