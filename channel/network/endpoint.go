package network

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// An endpoint implements [channel.Endpoint]. Its fields are guarded by the mutex
// of the member.
type endpoint struct {
	member *member
	left   bool
	async  int // sends of the lane on their way

	neglected int // in so many selects in a row another end was chosen
}

// operation returns one that is not in use. Each space has its own, so that the
// channel in it does not get into another synctest bubble.
func (s *Space) operation() *operation {
	if op, ok := s.operations.Get().(*operation); ok {
		return op
	}
	return &operation{done: make(chan struct{}, 1)}
}

func recycle(op *operation) {
	done, s := op.done, op.end.member.space
	*op = operation{done: done}
	s.operations.Put(op)
}

func (e *endpoint) Send(ctx context.Context, p channel.Payload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := e.member
	m.lock()
	if err := e.ready(); err != nil || m.closed {
		m.mu.Unlock()
		return cmp.Or(err, channel.ErrClosed)
	}
	if e.async == 0 {
		if r := m.receiveTaking(p); r != nil {
			r.sink.Accept(p)
			m.conclude(r, nil)
			m.mu.Unlock()
			r.wake()
			return nil
		}
	}
	op := m.space.operation()
	op.payload, op.end = p, e
	m.admit(op)
	m.submitSend(op)
	m.mu.Unlock()
	return e.await(ctx, op)
}

func (e *endpoint) SendAsync(p channel.Payload, done func(error)) channel.Withdrawer {
	op := &operation{payload: p, end: e, notify: done}
	m := e.member
	m.mu.Lock()
	defer m.unlock()
	if err := e.ready(); err != nil || m.closed {
		op.over = true
		done(cmp.Or(err, channel.ErrClosed))
		return op
	}
	e.async++
	m.admit(op)
	m.submitSend(op)
	return op
}

func (e *endpoint) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	op := &operation{sink: s, end: e, notify: done}
	m := e.member
	m.mu.Lock()
	defer m.unlock()
	if err := e.ready(); err != nil {
		op.over = true
		done(err)
		return op
	}
	m.admit(op)
	m.submitReceive(op)
	return op
}

func (e *endpoint) Receive(ctx context.Context, s channel.Sink) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := e.member
	m.lock()
	if err := e.ready(); err != nil {
		m.mu.Unlock()
		return err
	}
	if op := m.sendFor(s, nil); op != nil {
		s.Accept(op.valueFor(s))
		m.conclude(op, nil)
		m.mu.Unlock()
		op.wake()
		return nil
	}
	if held := m.remoteSend(nil); held != nil && held.encoded != nil { // only at home
		s.Accept(channel.Bytes(m.takeHeld(held)))
		m.unlock()
		return nil
	}
	op := m.space.operation()
	op.sink, op.end = s, e
	m.admit(op)
	m.submitReceive(op)
	m.unlock()
	return e.await(ctx, op)
}

// lock locks m.mu, which is held for a moment only: whoever finds it taken does
// better to let others run than to sleep.
func (m *member) lock() {
	for range 4 {
		if m.mu.TryLock() {
			return
		}
		runtime.Gosched()
	}
	m.mu.Lock()
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
	if !op.wait(ctx.Done()) {
		e.abandon(op, ctx.Err())
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
	m.withdraw(op, err)
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

// Withdraw implements [channel.Withdrawer].
func (op *operation) Withdraw(err error) {
	m := op.end.member
	m.mu.Lock()
	m.withdraw(op, err)
	offered := op.offered
	m.unlock()
	if !offered {
		return
	}
	m.space.spawn(func() {
		select {
		case <-time.After(grace):
		case <-m.space.ctx.Done():
		}
		m.mu.Lock()
		defer m.unlock()
		if op.offered {
			m.doubt(op)
		}
	})
}

// withdraw ends op with err if it is not on its way. Else it does so if the peer
// that has it gives it back.
func (m *member) withdraw(op *operation, err error) {
	switch {
	case op.over:
	case op.in != nil:
		m.finish(op, err)
	case !op.offered:
	case op.offer.via == nil && !op.offer.again: // a peer is dialled, and nothing was said
		op.abandoned = err
		m.settleGone(op)
		m.reoffer(op)
	default:
		op.abandoned = err
		if op.offer.open && op.offer.via != nil {
			op.offer.via.send(frame{kind: withdraw, number: m.number, send: op.id})
		}
	}
}

func (e *endpoint) Closed() bool {
	m := e.member
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.left || m.gone || m.closed
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
