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
	state   any // pointer to it

	// Of the call under way, nil without one.
	ctx  context.Context
	stop context.CancelCauseFunc // ends ctx

	// Guarded by the process's mutex.
	phase         callPhase
	stopRequested bool // it is to stand still, or does
	parking       bool // it is parked, or not launched: it is not called
	killed        error
	changed       chan struct{} // closed when what is here changes; nil while nobody waits
	ends          []*end
	parked        []*parkedReceive
	received      []Received // and not yet taken
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
	return s.cause()
}

// cause returns why the function is to return, or nil.
func (s *Self) cause() error {
	if s.ctx == nil {
		return ErrMoving // it has returned
	}
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
	if err := s.halt(); err != nil {
		return err
	}
	err = h.moveTo(ctx, p, to, 0)
	if s.leftHalt() {
		return ErrMoving
	}
	return fmt.Errorf("tasklet: move to peer %s: %w", peer, err)
}

// Open implements [channel.Space]; use [channel.Open].
func (s *Self) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	return s.open(ctx, name, false)
}

// Select implements [channel.Space]; use [channel.Select].
func (s *Self) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	inner := make([]channel.Alternative, len(alternatives))
	for i, a := range alternatives {
		if e, ok := a.End.(*end); ok {
			if a.Sink != nil {
				if got := e.taken(); got != nil {
					return i, got.give(a.Sink)
				}
			}
			a.End = e.Endpoint
		}
		inner[i] = a
	}
	return s.routine.host.space.Select(ctx, inner, wait)
}
