package tasklet

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A routine is the engine of a function: a goroutine.
type routine struct {
	*process
	function *definition
	self     *Self // nil while it is suspended
}

// A phase is what becomes of the calls of a function.
type phase uint8

const (
	outside   phase = iota // it has returned, or was never called, and is to be called (again): meanwhile it needs no goroutine
	called                 // its goroutine is about to call it
	inside                 // it runs
	halted                 // it stands still in Self.Move
	dismissed              // it ends, or has ended
)

// newSelf gives the routine a state, and what was received for it.
func (r *routine) newSelf(state any, received []Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.self, r.awake = &Self{routine: r, state: state, received: received, rests: true}, true
}

func (r *routine) launch() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.self; s != nil { // else somebody was quick to suspend it
		s.rests = false
		s.rouse()
	}
	return nil
}

// rouse has the function called, if it is to be. The lock is held.
func (s *Self) rouse() {
	if s.phase != outside || s.killed == nil && (s.asked || s.rests) {
		return
	}
	s.set(called)
	s.routine.host.wg.Add(1)
	go s.run()
}

// run calls the function. It is the tasklet's goroutine.
func (s *Self) run() {
	defer s.routine.host.wg.Done()
	err, again := errGoexit, false
	defer func() {
		switch {
		case again:
			s.outside()
		case s.dismiss(false):
			s.routine.ended(s, err)
		}
	}()
	s.getUp()
	if !s.begin() {
		return
	}
	err = s.call()
	why := context.Cause(s.ctx)
	again = (why == ErrMoving || why == ErrResting) && (errors.Is(err, why) || errors.Is(err, context.Canceled))
	s.stop(nil)
	s.park()
}

var errGoexit = errors.New("the function ended its goroutine")

// begin begins a call, unless the tasklet was killed.
func (s *Self) begin() bool {
	r := s.routine
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.killed != nil {
		return false
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	if s.asked {
		s.stop(ErrMoving)
	}
	s.set(inside)
	return true
}

// folders are those of the source files in a stack trace, which goes to other peers.
var folders = regexp.MustCompile(`(?m)^\t.*/`)

// call calls the function once.
func (s *Self) call() (err error) {
	defer func() {
		if v := recover(); v != nil {
			if e, ok := v.(error); ok {
				v = publicText(e)
			}
			stack := folders.ReplaceAll(debug.Stack(), []byte("\t"))
			err = &CrashError{Reason: fmt.Sprintf("panic: %.1000v", v), Stack: string(stack[:min(len(stack), maxStack)])}
		}
	}()
	return s.routine.function.run(s.ctx, s, s.state)
}

// set changes the phase. The lock is held.
func (s *Self) set(p phase) {
	s.phase = p
	s.notify()
}

func (s *Self) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// wait waits for a change, or until ctx ends. The lock is held, but not
// meanwhile.
func (s *Self) wait(ctx context.Context) error {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	s.routine.mu.Unlock()
	defer s.routine.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outside notes that the function has returned, to be called again.
func (s *Self) outside() {
	s.lieDown()
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	if s.phase != dismissed {
		s.set(outside)
		s.rouse()
	}
}

// halt makes the tasklet stand still inside of its function, unless it is being
// asked to leave it.
func (s *Self) halt() error {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	switch {
	case s.phase != inside:
		return errors.New("tasklet: a function moves itself once at a time, and only while it runs")
	case s.cause() != nil:
		return s.cause()
	}
	s.set(halted)
	return nil
}

// leftHalt ends that. It reports whether the tasklet is not here any more.
func (s *Self) leftHalt() bool {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for s.asked && s.phase == halted {
		s.wait(context.Background())
	}
	if s.phase != halted {
		return true
	}
	s.set(inside)
	return false
}

// dismiss ends what the tasklet has here, also if the function is in Self.Move
// or has begun to end, and reports whether it had not ended before.
func (s *Self) dismiss(moving bool) bool {
	r := s.routine
	r.mu.Lock()
	first := s.phase != dismissed
	s.set(dismissed)
	if moving && s.stop != nil {
		s.stop(ErrMoving)
	}
	r.mu.Unlock()
	return first
}

// ended notes how the tasklet came to its end, in its own goroutine.
func (r *routine) ended(s *Self, err error) {
	e := s.exitOf(err)
	r.finish(e, s.killed != ErrClosed)
	r.turn <- struct{}{} // who has it may still look at the state
	r.unload()
	<-r.turn
	r.host.log.Info("tasklet exited", "tasklet", r.id, "status", e.Status, "error", err)
}

// exitOf returns how a function came to its end.
func (s *Self) exitOf(err error) *exit {
	switch {
	case s.killed != nil:
		return &exit{Status: -1, Failure: failureOf(s.killed)}
	case err == nil:
		return &exit{}
	case errors.As(err, new(*CrashError)):
		return &exit{Status: 2, Failure: failureOf(err)}
	}
	return &exit{Status: 1, Failure: failureOf(err)}
}

func (r *routine) unload() error {
	r.mu.Lock()
	s := r.self
	r.self, r.awake = nil, false
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	s.dismiss(true)
	r.mu.Lock()
	ends := s.ends
	s.ends = nil
	r.mu.Unlock()
	for _, e := range ends {
		e.Endpoint.Leave()
	}
	return nil
}

// pause waits as long as ctx allows for the function to return, or to stand
// still.
func (r *routine) pause(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.self
	s.asked = true
	if s.phase == inside && s.stop != nil {
		s.stop(ErrMoving)
	}
	for s.phase == inside || s.phase == called {
		if err := s.wait(ctx); err != nil {
			s.asked = false
			return fmt.Errorf("function %q has come to no operation and no Yield: %w", r.process.function, err)
		}
	}
	if s.phase == dismissed {
		return sandbox.ErrExited
	}
	return nil
}

func (r *routine) proceed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.self
	s.asked = false
	s.notify()
	s.rouse()
	return nil
}

func (r *routine) goOn() error { return r.proceed() }

func (r *routine) kill(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.self
	if s == nil || s.killed != nil || s.phase == dismissed {
		return
	}
	s.killed = why
	if s.stop != nil {
		s.stop(why)
	}
	s.notify()
	s.rouse()
}

// A function's operations are withdrawn when it is paused, but for those that it
// rests in.
func (r *routine) withdraw(bool) {
	r.mu.Lock()
	s := r.self
	r.mu.Unlock()
	if s != nil {
		s.getUp()
	}
}
