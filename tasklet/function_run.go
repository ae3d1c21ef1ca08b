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

// A callPhase says what the function of a tasklet does. It is called again and
// again, until it returns for good:
//
//	callIdle -> callStarting -> callRunning -> callIdle or callDone
//	                            callRunning <-> callStopped (in Self.Move)
type callPhase uint8

const (
	callIdle     callPhase = iota // it has returned, or was never called; it needs no goroutine
	callStarting                  // its goroutine is about to call it
	callRunning                   // it runs
	callStopped                   // it stands still in Self.Move
	callDone                      // it ends, or has ended
)

// newSelf gives the routine a state, and what was received for it.
func (r *routine) newSelf(state any, received []Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.self, r.awake = &Self{routine: r, state: state, received: received, parking: true}, true
}

func (r *routine) launch() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.self; s != nil { // else somebody was quick to suspend it
		s.parking = false
		s.schedule()
	}
	return nil
}

// schedule starts a goroutine that calls the function, if it is idle and neither
// parked nor to be stopped. The lock is held.
func (s *Self) schedule() {
	if s.phase != callIdle || s.killed == nil && (s.stopRequested || s.parking) {
		return
	}
	s.set(callStarting)
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
			s.returned()
		case s.dismiss(false):
			s.routine.finishRun(s, err)
		}
	}()
	s.stopParkedReceives()
	if !s.begin() {
		return
	}
	err = s.call()
	why := context.Cause(s.ctx)
	again = (why == ErrMoving || why == ErrParking) && (errors.Is(err, why) || errors.Is(err, context.Canceled))
	s.stop(nil)
	s.detachEnds()
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
	if s.stopRequested {
		s.stop(ErrMoving)
	}
	s.set(callRunning)
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
func (s *Self) set(p callPhase) {
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

// returned notes that the function has returned, to be called again.
func (s *Self) returned() {
	s.startParkedReceives()
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	if s.phase != callDone {
		s.set(callIdle)
		s.schedule()
	}
}

// halt makes the tasklet stand still inside of its function, unless it is being
// asked to leave it.
func (s *Self) halt() error {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	switch {
	case s.phase != callRunning:
		return errors.New("tasklet: a function moves itself once at a time, and only while it runs")
	case s.cause() != nil:
		return s.cause()
	}
	s.set(callStopped)
	return nil
}

// leftHalt ends that. It reports whether the tasklet is not here any more.
func (s *Self) leftHalt() bool {
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for s.stopRequested && s.phase == callStopped {
		s.wait(context.Background())
	}
	if s.phase != callStopped {
		return true
	}
	s.set(callRunning)
	return false
}

// dismiss ends what the tasklet has here, also if the function is in Self.Move
// or has begun to end, and reports whether it had not ended before.
func (s *Self) dismiss(moving bool) bool {
	r := s.routine
	r.mu.Lock()
	first := s.phase != callDone
	s.set(callDone)
	if moving && s.stop != nil {
		s.stop(ErrMoving)
	}
	r.mu.Unlock()
	return first
}

// finishRun notes how the tasklet came to its end, in its own goroutine.
func (r *routine) finishRun(s *Self, err error) {
	e := s.exitOf(err)
	r.finish(e, s.killed != ErrClosed)
	r.opLock <- struct{}{} // who has it may still look at the state
	r.unload()
	<-r.opLock
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
	s.stopRequested = true
	if s.phase == callRunning && s.stop != nil {
		s.stop(ErrMoving)
	}
	for s.phase == callRunning || s.phase == callStarting {
		if err := s.wait(ctx); err != nil {
			s.stopRequested = false
			return fmt.Errorf("function %q has come to no operation and no Yield: %w", r.process.function, err)
		}
	}
	if s.phase == callDone {
		return sandbox.ErrExited
	}
	return nil
}

func (r *routine) proceed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.self
	s.stopRequested = false
	s.notify()
	s.schedule()
	return nil
}

func (r *routine) goOn() error { return r.proceed() }

func (r *routine) kill(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.self
	if s == nil || s.killed != nil || s.phase == callDone {
		return
	}
	s.killed = why
	if s.stop != nil {
		s.stop(why)
	}
	s.notify()
	s.schedule()
}

// withdraw stops the parked receives. A function's other operations end with its
// context.
func (r *routine) withdraw(bool) {
	r.mu.Lock()
	s := r.self
	r.mu.Unlock()
	if s != nil {
		s.stopParkedReceives()
	}
}
