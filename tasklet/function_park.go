package tasklet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// parkDelay is how long a function waits in a receive before it is parked.
const parkDelay = time.Second

// Parking is a space of channels in which the function is parked while it waits for
// long. A parked function has no goroutine and needs 2.8 KB in all instead of 8.5.
// That matters for tens of thousands of them. To call a parked function again takes
// about a tenth of a millisecond.
//
//	numbers, err := channel.Open[int](ctx, self.Parking(), "numbers")
//
// A Receive on such an end parks the function after a second, if it was given the
// ctx of the function: ctx ends, and the function must return as for a move (see
// [Func]; the cause is [ErrParking]). The Receive goes on without the function. When
// a value comes, the function is called again with its state, and its first Receive
// on that channel returns the value at once. What else the function does meanwhile,
// in goroutines of its own, ends with ctx, too. A Receive with another context, such
// as one with a deadline, or in a Select never parks the function.
//
// A value that comes while the function is parked belongs to the tasklet: it goes
// along when the tasklet is moved or suspended. It is encoded for that, also if it
// comes from this peer. A value that cannot be encoded is lost, and Receive returns
// the error. Values that wait for a parked function have 32 MiB together; with more,
// the tasklet can neither be moved nor suspended until the function has taken some.
func (s *Self) Parking() channel.Space { return parkingSpace{s} }

type parkingSpace struct{ *Self }

// Open implements [channel.Space].
func (r parkingSpace) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return r.open(ctx, name, true)
}

// isCallContext reports whether ctx is that of the function's call.
func (s *Self) isCallContext(ctx context.Context) bool {
	return s.ctx != nil && s.ctx.Done() == ctx.Done()
}

// receive receives. If that takes long, it asks the function to return, to be
// parked.
func (e *end) receive(ctx context.Context, sink channel.Sink) error {
	s := e.self
	stop := s.stop
	alarm := time.AfterFunc(s.routine.host.parkAfter, func() { stop(ErrParking) })
	err := e.Endpoint.Receive(ctx, sink)
	alarm.Stop()
	if errors.Is(err, context.Canceled) && context.Cause(ctx) == ErrParking {
		s.routine.mu.Lock()
		defer s.routine.mu.Unlock()
		e.interrupted = true
	}
	return err
}

// A parkedReceive is a receive that goes on after the function which began it has
// returned.
type parkedReceive struct {
	end      *end
	receive  channel.Withdrawer
	received *Received
}

// startParkedReceives continues the receives of a function that has returned to be
// parked, unless the tasklet is to be stopped or killed.
func (s *Self) startParkedReceives() {
	r := s.routine
	r.mu.Lock()
	for _, e := range s.ends {
		if e.interrupted && !s.stopRequested && s.killed == nil && s.phase != callDone {
			s.parked = append(s.parked, &parkedReceive{end: e})
		}
		e.interrupted = false
	}
	s.parking = len(s.parked) > 0
	receives := slices.Clone(s.parked)
	r.mu.Unlock()
	for _, v := range receives {
		v.receive = v.end.ReceiveAsync(v, v.over)
	}
}

// Accept implements [channel.Sink].
func (v *parkedReceive) Accept(p channel.Payload) {
	value, err := channel.Copy(p)
	v.received = receivedFrom(v.end.name, value, err)
}

// over takes the result of the receive, and has the function called again. It is
// called once.
func (v *parkedReceive) over(err error) {
	s := v.end.self
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	i := slices.Index(s.parked, v)
	s.parked = slices.Delete(s.parked, i, i+1)
	switch {
	case err == nil:
		s.received = append(s.received, *v.received)
	case !errors.Is(err, errFrozen):
		s.received = append(s.received, *receivedFrom(v.end.name, nil, err))
	}
	s.parking = false
	s.schedule()
	s.notify()
}

// stopParkedReceives withdraws all parked receives. One that was already matched
// finishes first.
func (s *Self) stopParkedReceives() {
	r := s.routine
	r.mu.Lock()
	receives := slices.Clone(s.parked)
	r.mu.Unlock()
	for _, v := range receives {
		v.receive.Withdraw(errFrozen)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(s.parked) > 0 {
		s.wait(context.Background())
	}
}
