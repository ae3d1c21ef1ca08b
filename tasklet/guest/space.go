package guest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// A space is the host's channels. It tells the host of each name once.
type space struct {
	mu   sync.Mutex
	open map[channel.Name]int // endpoints by name
}

var theSpace = space{open: map[channel.Name]int{}}

// Open returns an end of the named channel.
func (s *space) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.open[name]++
	s.mu.Unlock()
	// Asking again for a name that is open is harmless, and simpler than to
	// have one goroutine wait for another's question.
	if _, err := host.call(ctx, abi.KindOpen, abi.AppendString(nil, string(name))); err != nil {
		s.leave(name)
		return nil, err
	}
	e := &endpoint{space: s, name: name}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// leave gives up one endpoint of a name, and the name with the last of them.
func (s *space) leave(name channel.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[name]--
	if s.open[name] > 0 {
		return nil
	}
	delete(s.open, name)
	_, _, err := host.submit(abi.KindLeave, abi.AppendString(nil, string(name)))
	return err
}

// An endpoint is one end of a channel.
type endpoint struct {
	space  *space
	name   channel.Name
	ctx    context.Context // ends with the endpoint
	cancel context.CancelCauseFunc
	left   sync.Once
}

// Send hands p to one receiver.
func (e *endpoint) Send(ctx context.Context, p channel.Payload) error {
	value, err := p.Encode()
	if err != nil {
		return err
	}
	if len(value) > channel.MaxValue {
		return fmt.Errorf("%w: %d bytes; the limit is %d", channel.ErrTooLarge, len(value), channel.MaxValue)
	}
	_, err = e.call(ctx, abi.KindSend, abi.AppendSend(nil, string(e.name), value))
	return err
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

// Leave gives the endpoint up.
func (e *endpoint) Leave() (err error) {
	e.left.Do(func() {
		e.cancel(channel.ErrClosed)
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
