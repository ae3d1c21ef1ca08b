package channel_test

import (
	"context"
	"slices"
	"sync"

	"github.com/dstackless/dstackless/channel"
)

// A memory is a space without a network. If it encodes, each value goes over
// as bytes, as it does between processes.
type memory struct {
	encodes bool

	mu    sync.Mutex
	lines map[channel.Name]*line
}

// A line is a channel: who waits on it.
type line struct{ sends, receives []*waiter }

type waiter struct {
	end     *memoryEnd
	payload channel.Payload
	sink    channel.Sink
	done    chan error // capacity 1
}

type memoryEnd struct {
	space *memory
	line  *line
	left  bool
}

func (s *memory) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == nil {
		s.lines = map[channel.Name]*line{}
	}
	if s.lines[name] == nil {
		s.lines[name] = &line{}
	}
	return &memoryEnd{space: s, line: s.lines[name]}, ctx.Err()
}

func (e *memoryEnd) Send(ctx context.Context, p channel.Payload) error {
	if e.space.encodes && ctx.Err() == nil {
		b, err := channel.Copy(p)
		if err != nil {
			return err
		}
		p = channel.Bytes(b)
	}
	return e.do(ctx, &waiter{end: e, payload: p, done: make(chan error, 1)})
}

func (e *memoryEnd) Receive(ctx context.Context, s channel.Sink) error {
	return e.do(ctx, &waiter{end: e, sink: s, done: make(chan error, 1)})
}

func (e *memoryEnd) do(ctx context.Context, w *waiter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mu := &e.space.mu
	mu.Lock()
	mine, theirs := &e.line.sends, &e.line.receives
	if w.sink != nil {
		mine, theirs = theirs, mine
	}
	switch {
	case e.left:
		w.done <- channel.ErrClosed
	case len(*theirs) > 0:
		other := (*theirs)[0]
		*theirs = (*theirs)[1:]
		if w.sink != nil {
			w.sink.Accept(other.payload)
		} else {
			other.sink.Accept(w.payload)
		}
		other.done <- nil
		w.done <- nil
	default:
		*mine = append(*mine, w)
	}
	mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	if i := slices.Index(*mine, w); i >= 0 {
		*mine = slices.Delete(*mine, i, i+1)
		return context.Cause(ctx)
	}
	return <-w.done
}

func (e *memoryEnd) SendAsync(p channel.Payload, done func(error)) channel.Withdrawer {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { done(e.Send(ctx, p)) }()
	return withdrawer(cancel)
}

func (e *memoryEnd) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { done(e.Receive(ctx, s)) }()
	return withdrawer(cancel)
}

type withdrawer context.CancelCauseFunc

func (w withdrawer) Withdraw(err error) { w(err) }

func (s *memory) Select(context.Context, []channel.Alternative, bool) (int, error) {
	panic("a select needs a real space")
}

func (e *memoryEnd) Balance(context.Context) (int, error) {
	e.space.mu.Lock()
	defer e.space.mu.Unlock()
	return len(e.line.sends) - len(e.line.receives), nil
}

func (e *memoryEnd) Closed() bool {
	e.space.mu.Lock()
	defer e.space.mu.Unlock()
	return e.left
}

// Close is not what these tests are about.
func (e *memoryEnd) Close(context.Context) error { return nil }

func (e *memoryEnd) Leave() error {
	e.space.mu.Lock()
	defer e.space.mu.Unlock()
	e.left = true
	for _, list := range []*[]*waiter{&e.line.sends, &e.line.receives} {
		*list = slices.DeleteFunc(*list, func(w *waiter) bool {
			if w.end == e {
				w.done <- channel.ErrClosed
			}
			return w.end == e
		})
	}
	return nil
}

// waiting tells how many operations wait on a channel.
func (s *memory) waiting(name channel.Name) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines[name].sends) + len(s.lines[name].receives)
}
