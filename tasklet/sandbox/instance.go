package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/dstackless/dstackless/tasklet/program"
)

// phase is where an instance is in its life.
type phase uint8

const (
	created phase = iota // memory may be written, nothing ran
	running              // the guest's goroutine exists
	resting              // the guest waits without one
	paused               // the guest has left; memory and globals are all there is
	exited               // the guest has come to its end
)

// instanceKey finds the instance in the context of a host call.
type instanceKey struct{}

// An Instance is one run of a program. Its methods are safe for concurrent
// use.
type Instance struct {
	cfg     Config
	code    *Code
	ctx     context.Context
	mem     *memory
	environ []string
	clock   clock
	// adopted is what the clock showed in the state that was adopted.
	adopted int64

	wake  chan struct{} // tells a waiting guest to look around; holds one
	hurry chan struct{} // has a guest that waits for its turn go on; holds one
	done  chan struct{} // closed when exited
	group sync.WaitGroup

	// attention says that something below wants the guest's attention, so
	// that a host call need not lock to find that nothing does.
	attention atomic.Bool

	mu      sync.Mutex
	phase   phase
	closed  bool
	killed  error
	pause   chan struct{} // closed when the guest has left, nil if nobody wants it to
	atSafe  []*visit
	leaving bool // the guest was told to leave and is on its way

	calls   map[uint64]pending
	nextSeq uint64
	bytes   int // payloads of calls
	inbox   []byte
	ticking bool // the guest looks at its inbox from time to time by itself

	alarm *time.Timer // wakes a guest that rests, nil if only a reply can

	snap *Snapshot // if somebody wanted one

	status int
	err    error

	// Of the guest's goroutine alone, or of the one that starts it.
	engine    *engine   // runs it
	registers registers // while none does
	g0        uint64
	ready     bool          // the Go runtime is initialized
	resumed   bool          // no host call was made since the guest was carried on
	idled     bool          // the guest waited since it last looked into its inbox
	inLoop    bool          // the guest left, or is left, in the midst of computing
	patience  time.Duration // how long it waits before it rests
	began     int64         // when the wait began that it left, or is to leave, to rest; 0: none
	due       int64         // when that wait ends by itself
	turn      bool          // it is one of those that may compute
	turnBegan time.Time     // since when
	lap       time.Time     // since when it computes
	cpu       time.Duration
	asked     uint      // how many host calls it has made
	deep      int       // how often it could not be left since its stack was seen to be large
	sliced    time.Time // when a goroutine of the guest was last preempted
	trimmed   time.Time // when the guest's memory was last trimmed
}

// Start runs the program from its beginning, in a goroutine of its own.
func (i *Instance) Start() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.is(created); err != nil {
		return err
	}
	i.clock = newClock()
	i.group.Add(1)
	i.launch(program.ExportStart)
	return nil
}

// is returns an error unless the instance is in phase p. The lock is held.
func (i *Instance) is(p phase) error {
	switch {
	case i.closed:
		return ErrClosed
	case i.phase == p:
		return nil
	case i.phase == exited:
		return ErrExited
	}
	return ErrState
}

// launch gives the guest a goroutine, which runs it until it leaves or ends,
// from one of the program's exported functions. The lock is held and the group
// counts the goroutine already.
func (i *Instance) launch(name string) {
	i.phase = running
	go func() {
		defer i.group.Done()
		for i.settle(i.run(name)) {
			name = program.ExportLoop
		}
	}()
}

// run has an engine run one of the program's exported functions until the guest
// leaves or ends.
func (i *Instance) run(name string) error {
	e, err := i.code.take(i.mem)
	if err != nil {
		return err
	}
	defer i.code.give(e)
	e.load(&i.registers)
	i.takeTurn()
	i.engine = e
	err = e.call(i.ctx, name)
	i.passTurn()
	i.engine = nil
	e.store(&i.registers)
	return err
}

// computed notes that the guest computed until now.
func (i *Instance) computed(now time.Time) {
	i.cpu += now.Sub(i.lap)
	i.lap = now
}

// overspent ends the guest if it has computed too long.
func (i *Instance) overspent() {
	if i.cfg.CPULimit <= 0 || i.cpu <= i.cfg.CPULimit {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.killed == nil {
		i.killed = fmt.Errorf("%w: the limit is %s", ErrCPU, i.cfg.CPULimit)
	}
	i.obey()
}

// look ends the guest if it has computed too long, or is to end.
func (i *Instance) look() {
	i.computed(time.Now())
	i.overspent()
	if i.attention.Load() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.obey()
	}
}

// settle notes how a run of the guest ended. It reports whether the guest is to
// go on at once: it had left for a request that was withdrawn meanwhile.
func (i *Instance) settle(err error) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	left := i.leaving && err == nil
	i.leaving = false
	var exit *sys.ExitError
	switch {
	case i.killed != nil:
		i.exit(-1, i.killed)
	case left && i.pause != nil:
		i.phase = paused
		close(i.pause)
		i.pause = nil
	case left && i.began != 0:
		return !i.lieDown()
	case left:
		i.carryOn()
		return true
	case errors.As(err, &exit):
		err = nil
		if exit.ExitCode() != 0 {
			err = i.mem.refused
		}
		i.exit(int(exit.ExitCode()), err)
	case err != nil:
		i.exit(-1, fmt.Errorf("sandbox: the guest failed: %w", err))
	default:
		i.exit(-1, fmt.Errorf("%w: it returned", ErrProtocol))
	}
	return false
}

// carryOn prepares the guest for being entered again. The lock is held.
func (i *Instance) carryOn() {
	i.resumed, i.began, i.deep = true, 0, 0
	if i.inLoop {
		i.enterLoop()
	}
}

// exit ends the guest's life. The lock is held.
func (i *Instance) exit(status int, err error) {
	i.phase, i.status, i.err = exited, status, err
	close(i.done)
}

// Kill ends the guest as soon as it can be reached; Exit then returns err, or
// ErrClosed if err is nil. It does not wait. Kill does nothing to a guest that
// has come to its end.
func (i *Instance) Kill(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kill(err)
}

// kill is Kill with the lock held.
func (i *Instance) kill(err error) {
	if err == nil {
		err = ErrClosed
	}
	switch i.phase {
	case exited:
	case running:
		if i.killed == nil {
			i.killed = err
		}
		i.alert()
	default:
		i.getUp()
		i.exit(-1, err)
	}
}

// Done returns a channel that is closed when the guest has come to its end.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Exit returns how the guest came to its end: its exit status, which is 2 for a
// panic, and a nil error; or -1 and why it was ended, by Kill or by a fault of
// its own. A program that died for want of memory has both a status and
// ErrMemory. Before the end, Exit returns -1 and ErrState.
func (i *Instance) Exit() (status int, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.phase != exited {
		return -1, ErrState
	}
	return i.status, i.err
}

// Close ends the guest if it lives, waits until it has, and frees its memory.
// Close is idempotent.
func (i *Instance) Close() error {
	i.mu.Lock()
	i.kill(ErrClosed)
	i.mu.Unlock()
	i.group.Wait()

	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	i.mem.free()
	if i.snap != nil {
		i.snap.shadow.close()
	}
	return nil
}
