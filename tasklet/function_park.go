package tasklet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// restAfter is how long a function waits in a receive before it rests.
const restAfter = time.Second

// Resting is the tasklet's space of channels, in which the function rests while
// it waits for long: it then has no goroutine and needs 2.8 KB in all, not 8.5,
// which is worth while if there are tens of thousands of them. To be called again
// takes about a tenth of a millisecond.
//
//	numbers, err := channel.Open[int](ctx, self.Resting(), "numbers")
//
// When a Receive on such an end was given the ctx of the function, and has waited
// for a second, ctx ends, and the function is to return as if it were to be moved
// (see [Func]; the cause is [ErrResting]). The Receive goes on without it. When it
// is done, the function is called again with its state, and its first Receive on
// that channel has the value at once. So all else that the function does while it
// receives, in goroutines of its own, is cut short; a Receive with another
// context, such as one with a deadline, or in a Select waits as everywhere.
//
// A value that comes while the function rests is the tasklet's: if it is moved or
// suspended then, the value goes along. It is encoded for that, also if it comes
// from this peer, and one that cannot be is lost: Receive returns the error.
// Received values that wait for the function have 32 MiB together; with more it
// can neither be moved nor suspended until it has taken some.
func (s *Self) Resting() channel.Space { return resting{s} }

type resting struct{ *Self }

// Open implements [channel.Space].
func (r resting) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return r.open(ctx, name, true)
}

// own reports whether ctx is that of the function's call.
func (s *Self) own(ctx context.Context) bool { return s.ctx != nil && s.ctx.Done() == ctx.Done() }

// receive receives, and if that takes long, has the function rest.
func (e *end) receive(ctx context.Context, sink channel.Sink) error {
	s := e.self
	stop := s.stop
	alarm := time.AfterFunc(s.routine.host.restAfter, func() { stop(ErrResting) })
	err := e.Endpoint.Receive(ctx, sink)
	alarm.Stop()
	if errors.Is(err, context.Canceled) && context.Cause(ctx) == ErrResting {
		s.routine.mu.Lock()
		defer s.routine.mu.Unlock()
		e.cut = true
	}
	return err
}

// A vigil is a receive that goes on while the function rests which began it.
type vigil struct {
	end      *end
	receive  channel.Withdrawer
	received *Received
}

// lieDown begins the vigils of a function that has returned in order to rest,
// unless something else is to be done with it.
func (s *Self) lieDown() {
	r := s.routine
	r.mu.Lock()
	for _, e := range s.ends {
		if e.cut && !s.asked && s.killed == nil && s.phase != dismissed {
			s.vigils = append(s.vigils, &vigil{end: e})
		}
		e.cut = false
	}
	s.rests = len(s.vigils) > 0
	vigils := slices.Clone(s.vigils)
	r.mu.Unlock()
	for _, v := range vigils {
		v.receive = v.end.ReceiveAsync(v, v.over)
	}
}

// Accept implements [channel.Sink].
func (v *vigil) Accept(p channel.Payload) {
	value, err := channel.Copy(p)
	v.received = receivedFrom(v.end.name, value, err)
}

// over ends the vigil, and with it the rest. It is called once.
func (v *vigil) over(err error) {
	s := v.end.self
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	i := slices.Index(s.vigils, v)
	s.vigils = slices.Delete(s.vigils, i, i+1)
	switch {
	case err == nil:
		s.received = append(s.received, *v.received)
	case !errors.Is(err, errFrozen):
		s.received = append(s.received, *receivedFrom(v.end.name, nil, err))
	}
	s.rests = false
	s.rouse()
	s.notify()
}

// getUp ends the vigils. What they were matched with has been received then.
func (s *Self) getUp() {
	r := s.routine
	r.mu.Lock()
	vigils := slices.Clone(s.vigils)
	r.mu.Unlock()
	for _, v := range vigils {
		v.receive.Withdraw(errFrozen)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(s.vigils) > 0 {
		s.wait(context.Background())
	}
}
