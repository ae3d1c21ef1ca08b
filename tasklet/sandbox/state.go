package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
)

// A State is, with the memory, all that a paused guest is.
type State struct {
	// Globals are the program's registers.
	Globals [program.Globals]uint64
	// G0 is the address of the goroutine that runs the scheduler.
	G0 uint64
	// InLoop says that the program was left in the midst of computing, not in
	// a call of its host.
	InLoop bool
	// Pages is the size of memory, in units of program.PageSize.
	Pages uint32

	// CPU is how long the program has computed, in nanoseconds.
	CPU int64

	// Mono is the guest's monotonic clock, in nanoseconds.
	Mono int64
	// Wall is when Mono was, by the clock of the host that keeps the state, in
	// nanoseconds since 1970. What passes at that host until the guest goes on
	// is added to Mono; without Wall, nothing is. It means nothing to any other
	// host.
	Wall int64

	// Args are the program's arguments.
	Args []string
	// Calls are the requests that have no reply yet, in the order in which
	// they were made.
	Calls []Call
	// Inbox holds replies that the guest has not read yet.
	Inbox []byte
}

// CatchUp brings Mono and Wall up to now, which the host's clock shows. Passed is
// for how long the guest has been stopped at least, if that is known better than
// by Wall.
func (s *State) CatchUp(passed time.Duration, now time.Time) {
	if wall := now.UnixNano(); s.Wall > 0 && wall > s.Wall {
		passed = max(passed, time.Duration(wall-s.Wall))
	}
	s.Mono, s.Wall = later(s.Mono, passed), now.UnixNano()
}

// Held returns how many bytes requests and replies of s take, see Config.Hold.
func (s *State) Held() uint64 {
	size := len(s.Calls)*CallCost + len(s.Inbox)
	for _, c := range s.Calls {
		size += len(c.Payload)
	}
	return uint64(size)
}

// Validate reports what makes s no state of any program, if anything. The error
// wraps ErrInvalidState.
func (s *State) Validate() error {
	switch {
	case len(s.Calls) > MaxCalls || len(s.Inbox) > MaxInbox || s.Globals[program.GlobalPause] != 0 || s.G0 == 0:
		return fmt.Errorf("%w: calls, inbox or registers", ErrInvalidState)
	case s.CPU < 0 || s.Mono < 0 || s.Wall < 0:
		return fmt.Errorf("%w: times before the beginning", ErrInvalidState)
	}
	ids, size := make(map[uint64]struct{}, len(s.Calls)), 0
	for _, c := range s.Calls {
		if _, twice := ids[c.ID]; twice || c.ID == 0 {
			return fmt.Errorf("%w: call %d", ErrInvalidState, c.ID)
		}
		ids[c.ID] = struct{}{}
		if size += len(c.Payload); size > MaxCallBytes {
			return fmt.Errorf("%w: calls of more than %d bytes", ErrInvalidState, MaxCallBytes)
		}
	}
	return nil
}

// State returns what a paused guest is, besides its memory. A reply that comes
// while the guest is paused changes its state: a state is up to date when all
// that might reply has been stopped.
func (i *Instance) State() (State, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.is(paused); err != nil {
		return State{}, err
	}
	s := State{
		Globals: i.registers,
		G0:      i.g0,
		InLoop:  i.inLoop,
		Pages:   uint32(len(i.mem.bytes()) / program.PageSize),
		CPU:     int64(i.cpu),
		Mono:    i.clock.mono(),
		Wall:    i.cfg.Wall().UnixNano(),
		Args:    slices.Clone(i.cfg.Args),
		Calls:   i.outstanding(),
		Inbox:   slices.Clone(i.inbox),
	}
	return s, nil
}

// outstanding returns the calls without reply in order. The lock is held.
func (i *Instance) outstanding() []Call {
	all := make([]pending, 0, len(i.calls))
	for _, p := range i.calls {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b pending) int { return cmp.Compare(a.seq, b.seq) })
	calls := make([]Call, len(all))
	for n, p := range all {
		calls[n] = p.Call
	}
	return calls
}

// Memory returns the guest's memory while it is paused or not started, and nil
// otherwise. The slice is valid, and may be written, until the guest goes on, or
// its memory grows, or the instance is closed.
func (i *Instance) Memory() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.phase != created && i.phase != paused {
		return nil
	}
	return i.mem.bytes()
}

// Grow gives the guest pages pages of memory in all, before it is started. New
// memory is zero. The error wraps ErrMemory if that is over its limit.
func (i *Instance) Grow(pages uint32) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.is(created); err != nil {
		return err
	}
	have := uint32(len(i.mem.bytes()) / program.PageSize)
	if pages < have {
		return fmt.Errorf("%w: %d pages; the program starts with %d", ErrInvalidState, pages, have)
	}
	if pages > 1<<32/program.PageSize || pages > have && !i.mem.grow(uint64(pages)*program.PageSize) {
		err := i.mem.refused
		i.mem.refused = nil
		return fmt.Errorf("%d pages of %d bytes: %w", pages, program.PageSize, cmp.Or(err, ErrMemory))
	}
	return nil
}

// Adopt makes a new instance what another instance of the same program was when
// it was paused: a paused instance, which [Instance.Continue] carries on. Its
// memory must have been grown to s.Pages and filled with the other's. The
// arguments are those of s.
//
// The error wraps ErrInvalidState if s cannot be a state of the program; the
// instance is then as before.
func (i *Instance) Adopt(s State) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.is(created); err != nil {
		return err
	}
	if err := i.adopt(s); err != nil {
		return err
	}
	i.phase = paused
	return nil
}

// adopt makes s the instance's own. The lock is held.
func (i *Instance) adopt(s State) error {
	if have := len(i.mem.bytes()) / program.PageSize; uint64(s.Pages) != uint64(have) {
		return fmt.Errorf("%w: it is of %d pages of memory, and there are %d", ErrInvalidState, s.Pages, have)
	}
	if err := s.Validate(); err != nil {
		return err
	}
	calls, size := make(map[uint64]pending, len(s.Calls)), 0
	for n, c := range s.Calls {
		size += len(c.Payload)
		c.Payload = slices.Clone(c.Payload)
		calls[c.ID] = pending{Call: c, seq: uint64(n)}
	}
	if err := i.hold(len(calls), size, len(s.Inbox)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidState, err)
	}
	i.calls, i.bytes, i.nextSeq = calls, size, uint64(len(calls))
	i.inbox = slices.Clone(s.Inbox)
	i.cfg.Args = slices.Clone(s.Args)
	i.g0, i.ready, i.inLoop = s.G0, true, s.InLoop
	i.cpu = time.Duration(max(0, s.CPU))
	i.adopted = s.Mono
	s.CatchUp(0, i.cfg.Wall())
	i.clock = clockAt(s.Mono)
	for n, v := range s.Globals {
		if n == program.GlobalSP || n == program.GlobalPause {
			v = uint64(uint32(v))
		}
		i.registers[n] = v
	}
	return nil
}

// Age returns how long ago s was taken, of the guest that is paused since.
func (i *Instance) Age(s *State) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Duration(i.clock.mono() - s.Mono)
}

// CatchUp has the monotonic clock of a paused guest show at least so much more
// than in the state that it adopted: for so long it was on its way.
func (i *Instance) CatchUp(passed time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if mono := later(i.adopted, passed); i.phase == paused && mono > i.clock.mono() {
		i.clock = clockAt(mono)
	}
}

// Continue carries a paused guest on: one that has come from elsewhere, or one
// whose move has failed. All calls without reply are given to the Handler again, by the caller's
// goroutine, before the guest runs: whoever paused it has withdrawn them, or
// replied to those that could not be withdrawn.
func (i *Instance) Continue() error {
	i.mu.Lock()
	if err := i.is(paused); err != nil {
		i.mu.Unlock()
		return err
	}
	return i.goOn()
}

// Proceed carries on a paused guest whose calls without reply are still with
// the Handler: they are not given to it again.
func (i *Instance) Proceed() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.is(paused); err != nil {
		return err
	}
	i.group.Add(1)
	i.ticking = false
	i.carryOn()
	i.launch(program.ExportLoop)
	return nil
}

// goOn hands out the calls and launches the guest. The lock is held, and
// released.
func (i *Instance) goOn() error {
	calls := i.outstanding()
	i.phase = running // nobody else may carry it on
	i.group.Add(1)    // Close waits
	i.ticking = false
	i.carryOn()
	i.mu.Unlock()
	if h := i.cfg.Calls; h != nil {
		for _, c := range calls {
			h.Call(c)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.launch(program.ExportLoop)
	return nil
}
