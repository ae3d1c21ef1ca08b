package tasklet

import (
	"context"
	"fmt"
	"runtime"

	"github.com/dstackless/dstackless/channel"
)

// A Self is a function tasklet's view of itself, for as long as it is at one
// peer. It is a [channel.Space]: the channels that a tasklet opens in it are
// those of the peer where it is, and it leaves them when it goes. It is an
// [io.Writer]: what is written to it is the tasklet's output. It is safe for
// concurrent use.
type Self struct {
	routine *routine
	ctx     context.Context // of the call under way
	state   any             // pointer to it

	// Guarded by the process's mutex.
	phase   phase
	asked   bool // it is to stand still, or does
	killed  error
	stop    context.CancelCauseFunc // ends ctx
	changed chan struct{}           // closed when phase or asked change; nil while nobody waits
	ends    []*end
}

// ID returns the tasklet's ID.
func (s *Self) ID() ID { return s.routine.id }

// Host returns the ID of the peer where the tasklet is.
func (s *Self) Host() string { return s.routine.host.self }

// Write appends to the tasklet's output, which the peer that started it keeps.
func (s *Self) Write(p []byte) (int, error) {
	n := len(s.routine.write(p))
	if n < len(p) {
		return n, ErrLimit
	}
	return n, nil
}

// Yield lets others run, and is a safe point. It returns nil if the tasklet may
// go on, or else why it may not, for the function to return: see [Func].
func (s *Self) Yield() error {
	runtime.Gosched()
	return context.Cause(s.ctx)
}

// Move moves the tasklet to a peer, given as to [Tasklet.Move]; a name must stand
// for that peer there, too. There the function is called with the state as it is
// now. Here Move returns an error for the function to return; at the destination
// it returns nil. So the line
//
//	if err := self.Move(ctx, peer); err != nil {
//		return err
//	}
//
// is passed at peer alone. After other errors, which are those of
// [Tasklet.Move], the tasklet is still here, and the function may also go on.
func (s *Self) Move(ctx context.Context, peer string) error {
	h, p := s.routine.host, s.routine.process
	to, err := h.table.Lookup(ctx, peer)
	switch {
	case err != nil:
		return fmt.Errorf("tasklet: move: %w", err)
	case to == h.node.ID():
		return nil
	}
	if err := s.rest(); err != nil {
		return err
	}
	err = h.depart(ctx, p, to, 0)
	if s.leftRest() {
		return ErrMoving
	}
	return fmt.Errorf("tasklet: move to peer %s: %w", peer, err)
}

// Open implements [channel.Space]; use [channel.Open].
func (s *Self) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	if e := s.reopen(name); e != nil {
		return e, nil
	}
	inner, err := s.routine.host.space.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	e := &end{Endpoint: inner, self: s, name: name}
	if err := s.keep(e); err != nil {
		inner.Leave()
		return nil, err
	}
	return e, nil
}

// Select implements [channel.Space]; use [channel.Select].
func (s *Self) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	inner := make([]channel.Alternative, len(alternatives))
	for i, a := range alternatives {
		if e, ok := a.End.(*end); ok {
			a.End = e.Endpoint
		}
		inner[i] = a
	}
	return s.routine.host.space.Select(ctx, inner, wait)
}

// An end is a function's end of a channel. It stays open while the function is
// called again at the same peer, so that a channel that was closed stays so.
type end struct {
	channel.Endpoint
	self   *Self
	name   channel.Name
	parked bool // since the function returned
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

// reopen returns an end of the channel that the function had when it was called
// before, or nil.
func (s *Self) reopen(name channel.Name) *end {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for _, e := range s.ends {
		if e.parked && e.name == name {
			e.parked = false
			return e
		}
	}
	return nil
}

// keep notes an end that the function has, unless it may have none any more.
func (s *Self) keep(e *end) error {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	if s.phase == dismissed {
		return channel.ErrClosed
	}
	s.ends = append(s.ends, e)
	return nil
}

// park notes that the function has returned.
func (s *Self) park() {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for _, e := range s.ends {
		e.parked = true
	}
}
