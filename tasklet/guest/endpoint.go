package guest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// An endpoint is one end of a channel.
type endpoint struct {
	space  *space
	name   channel.Name
	ctx    context.Context // ends with the endpoint
	cancel context.CancelCauseFunc
	left   sync.Once

	mu       sync.Mutex
	sends    []*async // on their way, in their order
	receives []*async // that wait
}

// Send hands p to one receiver.
func (e *endpoint) Send(ctx context.Context, p channel.Payload) error {
	e.mu.Lock()
	behind := len(e.sends) > 0
	e.mu.Unlock()
	if behind {
		return e.sendBehind(ctx, p)
	}
	value, err := encode(p)
	if err != nil {
		return err
	}
	_, err = e.call(ctx, abi.KindSend, abi.AppendSend(nil, string(e.name), value))
	return err
}

// sendBehind is Send while others are on their way.
func (e *endpoint) sendBehind(ctx context.Context, p channel.Payload) error {
	done := make(chan error, 1)
	send := e.SendAsync(p, func(err error) { done <- err })
	defer context.AfterFunc(ctx, func() { send.Withdraw(ctx.Err()) })()
	return <-done
}

func encode(p channel.Payload) ([]byte, error) {
	value, err := p.Encode()
	if err == nil && len(value) > channel.MaxValue {
		err = fmt.Errorf("%w: %d bytes; the limit is %d", channel.ErrTooLarge, len(value), channel.MaxValue)
	}
	return value, err
}

// An async is an operation that nobody waits for here.
type async struct {
	end       *endpoint
	among     *[]*async // the end's, of its kind
	id        uint64
	withdrawn error // why it was
}

// SendAsync begins to send p.
func (e *endpoint) SendAsync(p channel.Payload, done func(error)) channel.Withdrawer {
	value, err := encode(p)
	if err != nil {
		done(err)
		return &async{end: e}
	}
	return e.begin(&e.sends, abi.KindSendAsync, abi.AppendSend(nil, string(e.name), value), func(r reply) { done(r.err) })
}

// ReceiveAsync begins to receive for s.
func (e *endpoint) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	return e.begin(&e.receives, abi.KindReceive, abi.AppendString(nil, string(e.name)), func(r reply) {
		if r.err == nil {
			s.Accept(channel.Bytes(r.body))
		}
		done(r.err)
	})
}

// begin makes a request that nobody waits for.
func (e *endpoint) begin(among *[]*async, kind abi.Kind, payload []byte, done func(reply)) *async {
	a := &async{end: e, among: among}
	if e.ctx.Err() != nil {
		done(reply{err: channel.ErrClosed})
		return a
	}
	e.mu.Lock()
	*among = append(*among, a)
	e.mu.Unlock()
	id, err := host.submit(kind, payload, func(r reply) { done(a.over(r)) })
	if err != nil {
		done(a.over(reply{err: err}))
		return a
	}
	e.mu.Lock()
	a.id = id
	withdrawn := a.withdrawn != nil
	e.mu.Unlock()
	if withdrawn {
		a.cancel()
	}
	return a
}

// over notes that a has come to its end, and returns what came of it.
func (a *async) over(r reply) reply {
	e := a.end
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(*a.among, a); i >= 0 {
		*a.among = slices.Delete(*a.among, i, i+1)
	}
	if errors.Is(r.err, context.Canceled) && a.withdrawn != nil {
		r.err = a.withdrawn
	}
	return r
}

// Withdraw takes the operation back.
func (a *async) Withdraw(err error) {
	a.end.mu.Lock()
	again := a.withdrawn != nil
	if !again {
		a.withdrawn = err
	}
	begun := a.id != 0
	a.end.mu.Unlock()
	if begun && !again {
		a.cancel()
	}
}

// cancel asks the host, again if it has too much to do.
func (a *async) cancel() {
	if err := host.cancel(a.id); errors.Is(err, channel.ErrLimit) {
		time.AfterFunc(abi.TickInterval, a.cancel)
	}
}

// Receive waits for one sender.
func (e *endpoint) Receive(ctx context.Context, s channel.Sink) error {
	value, err := e.call(ctx, abi.KindReceive, abi.AppendString(nil, string(e.name)))
	if err != nil {
		return err
	}
	s.Accept(channel.Bytes(value))
	return nil
}

// Close ends the channel for everyone.
func (e *endpoint) Close(ctx context.Context) error {
	_, err := e.call(ctx, abi.KindClose, abi.AppendString(nil, string(e.name)))
	return err
}

// Closed reports whether the endpoint was left or the channel is closed.
func (e *endpoint) Closed() bool {
	if e.ctx.Err() != nil {
		return true
	}
	body, err := host.call(context.Background(), abi.KindClosed, abi.AppendString(nil, string(e.name)))
	return err == nil && len(body) == 1 && body[0] == 1
}

// Balance asks how many wait on the channel.
func (e *endpoint) Balance(ctx context.Context) (int, error) {
	body, err := e.call(ctx, abi.KindBalance, abi.AppendString(nil, string(e.name)))
	if err != nil {
		return 0, err
	}
	return abi.ParseBalance(body)
}

// Leave gives the endpoint up.
func (e *endpoint) Leave() (err error) {
	e.left.Do(func() {
		e.cancel(channel.ErrClosed)
		e.mu.Lock()
		ops := slices.Concat(e.receives, e.sends)
		e.mu.Unlock()
		for _, op := range slices.Backward(ops) {
			op.Withdraw(channel.ErrClosed)
		}
		err = e.space.leave(e.name)
	})
	return err
}

// call makes a request that is withdrawn when ctx or the endpoint ends.
func (e *endpoint) call(ctx context.Context, kind abi.Kind, payload []byte) ([]byte, error) {
	if err := e.ctx.Err(); err != nil {
		return nil, channel.ErrClosed
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	body, err := host.call(both, kind, payload)
	switch {
	case err == nil:
	case e.ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = channel.ErrClosed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		err = ctx.Err() // may be that the time is over
	}
	return body, err
}
