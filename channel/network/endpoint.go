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
// of the channel.
type endpoint struct {
	channel *channelState
	left    bool
	async   int // sends of the pipeline on their way

	skips int // in so many selects in a row another end was chosen
}

// operation returns one that is not in use. Each space has its own, so that the
// channel in it does not get into another synctest bubble.
func (s *Space) operation() *operation {
	if op, ok := s.operations.Get().(*operation); ok {
		return op
	}
	return &operation{wakeup: make(chan struct{}, 1)}
}

func recycleOperation(op *operation) {
	done, s := op.wakeup, op.endpoint.channel.space
	*op = operation{wakeup: done}
	s.operations.Put(op)
}

func (e *endpoint) Send(ctx context.Context, p channel.Payload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cs := e.channel
	cs.lockSpinning()
	if err := e.ready(); err != nil || cs.closed {
		cs.mu.Unlock()
		return cmp.Or(err, channel.ErrClosed)
	}
	if e.async == 0 {
		if r := cs.receiveTaking(p); r != nil {
			r.sink.Accept(p)
			cs.conclude(r, nil)
			cs.mu.Unlock()
			r.wake()
			return nil
		}
	}
	op := cs.space.operation()
	op.payload, op.endpoint = p, e
	cs.admit(op)
	cs.submitSend(op)
	cs.mu.Unlock()
	return e.await(ctx, op)
}

func (e *endpoint) SendAsync(p channel.Payload, done func(error)) channel.Withdrawer {
	op := &operation{payload: p, endpoint: e, notify: done}
	cs := e.channel
	cs.mu.Lock()
	defer cs.unlock()
	if err := e.ready(); err != nil || cs.closed {
		op.done = true
		done(cmp.Or(err, channel.ErrClosed))
		return op
	}
	e.async++
	cs.admit(op)
	cs.submitSend(op)
	return op
}

func (e *endpoint) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	op := &operation{sink: s, endpoint: e, notify: done}
	cs := e.channel
	cs.mu.Lock()
	defer cs.unlock()
	if err := e.ready(); err != nil {
		op.done = true
		done(err)
		return op
	}
	cs.admit(op)
	cs.submitReceive(op)
	return op
}

func (e *endpoint) Receive(ctx context.Context, s channel.Sink) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cs := e.channel
	cs.lockSpinning()
	if err := e.ready(); err != nil {
		cs.mu.Unlock()
		return err
	}
	if op := cs.sendFor(s, nil); op != nil {
		s.Accept(op.valueFor(s))
		cs.conclude(op, nil)
		cs.mu.Unlock()
		op.wake()
		return nil
	}
	if held := cs.remoteSend(nil); held != nil && held.encoded != nil { // only at home
		s.Accept(channel.Bytes(cs.takeParked(held)))
		cs.unlock()
		return nil
	}
	op := cs.space.operation()
	op.sink, op.endpoint = s, e
	cs.admit(op)
	cs.submitReceive(op)
	cs.unlock()
	return e.await(ctx, op)
}

// lockSpinning locks cs.mu, which is held for a moment only: whoever finds it taken does
// better to let others run than to sleep.
func (cs *channelState) lockSpinning() {
	for range 4 {
		if cs.mu.TryLock() {
			return
		}
		runtime.Gosched()
	}
	cs.mu.Lock()
}

// ready reports why e cannot take an operation.
func (e *endpoint) ready() error {
	switch {
	case e.left:
		return channel.ErrClosed
	case e.channel.gone:
		return channel.ErrClosed
	case e.channel.pending >= MaxPending:
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
	recycleOperation(op)
	return err
}

// abandon withdraws op because of err. If it is on its way to a receiver,
// abandon waits for the outcome, and gives up after the grace period.
func (e *endpoint) abandon(op *operation, err error) {
	cs := e.channel
	cs.mu.Lock()
	cs.withdraw(op, err)
	cs.unlock()
	timer := time.NewTimer(withdrawTimeout)
	defer timer.Stop()
	select {
	case <-op.wakeup:
		return
	case <-timer.C:
	}
	cs.mu.Lock()
	if op.offered {
		cs.endInDoubt(op)
	}
	cs.unlock()
	<-op.wakeup
}

// Withdraw implements [channel.Withdrawer].
func (op *operation) Withdraw(err error) {
	cs := op.endpoint.channel
	cs.mu.Lock()
	cs.withdraw(op, err)
	offered := op.offered
	cs.unlock()
	if !offered {
		return
	}
	cs.space.spawn(func() {
		select {
		case <-time.After(withdrawTimeout):
		case <-cs.space.ctx.Done():
		}
		cs.mu.Lock()
		defer cs.unlock()
		if op.offered {
			cs.endInDoubt(op)
		}
	})
}

// withdraw ends op with err if it is not on its way. Else it does so if the peer
// that has it gives it back.
func (cs *channelState) withdraw(op *operation, err error) {
	switch {
	case op.done:
	case op.in != nil:
		cs.finish(op, err)
	case !op.offered:
	case op.offer.via == nil && !op.offer.resumed: // a peer is dialled, and nothing was said
		op.cancelErr = err
		cs.reportGone(op)
		cs.reoffer(op)
	default:
		op.cancelErr = err
		if op.offer.anyReceive && op.offer.via != nil {
			op.offer.via.send(frame{kind: withdraw, number: cs.number, send: op.id})
		}
	}
}

func (e *endpoint) Closed() bool {
	cs := e.channel
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return e.left || cs.gone || cs.closed
}

func (e *endpoint) Leave() error {
	cs := e.channel
	cs.mu.Lock()
	if !e.left {
		e.left = true
		cs.endWaiting(func(op *operation) bool { return op.endpoint == e })
		delete(cs.ends, e)
	}
	cs.unlock()
	return nil
}
