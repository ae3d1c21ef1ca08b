package tasklet

import (
	"context"

	"github.com/dstackless/dstackless/channel"
)

// An end is a function's end of a channel. It stays open while the function is
// called again at the same peer, so that a channel that was closed stays so.
type end struct {
	channel.Endpoint
	self  *Self
	name  channel.Name
	parks bool // the function may be parked while it receives

	// Guarded by the process's mutex.
	detached    bool // since the function returned
	interrupted bool // a receive was cut short, so that the function can be parked
}

// open opens an end.
func (s *Self) open(ctx context.Context, name channel.Name, rests bool) (channel.Endpoint, error) {
	if e := s.reopen(name, rests); e != nil {
		return e, nil
	}
	inner, err := s.routine.host.space.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	e := &end{Endpoint: inner, self: s, name: name, parks: rests}
	if err := s.keep(e); err != nil {
		inner.Leave()
		return nil, err
	}
	return e, nil
}

// reopen returns an end of the channel that the function had when it was called
// before, or nil.
func (s *Self) reopen(name channel.Name, rests bool) *end {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for _, e := range s.ends {
		if e.detached && e.name == name && e.parks == rests {
			e.detached = false
			return e
		}
	}
	return nil
}

// keep notes an end that the function has, unless it may have none any more.
func (s *Self) keep(e *end) error {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	if s.phase == callDone {
		return channel.ErrClosed
	}
	s.ends = append(s.ends, e)
	return nil
}

// detachEnds notes that the function has returned.
func (s *Self) detachEnds() {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	s.ctx, s.stop = nil, nil
	for _, e := range s.ends {
		e.detached = true
	}
}

// Leave gives the end up.
func (e *end) Leave() error {
	s := e.self
	s.routine.mu.Lock()
	for i, other := range s.ends {
		if other == e {
			last := len(s.ends) - 1
			s.ends[i], s.ends[last] = s.ends[last], nil
			s.ends = s.ends[:last]
			break
		}
	}
	s.routine.mu.Unlock()
	return e.Endpoint.Leave()
}

// Receive returns what was received while the function was parked, or receives.
func (e *end) Receive(ctx context.Context, sink channel.Sink) error {
	if got := e.taken(); got != nil {
		return got.give(sink)
	}
	if e.parks && e.self.isCallContext(ctx) {
		return e.receive(ctx, sink)
	}
	return e.Endpoint.Receive(ctx, sink)
}
