package sandbox

import (
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/dstackless/dstackless/tasklet/program"
)

// timeSlice is how long one goroutine of a guest may compute while others wait,
// as on other platforms.
const timeSlice = 10 * time.Millisecond

// hurriedTurns is how soon a guest lets its host in again while the host wants
// something of it.
const hurriedTurns = 1 << 14

// Go's way to preempt a goroutine: a stack limit above all stacks, in the field
// g.stackguard0, sends its next function call to the scheduler. See
// runtime/preempt.go and runtime/stack.go.
const (
	stackPreempt = 0xfffffffffffffade
	stackguard0  = 16
)

// yield is called by the guest's goroutine in the midst of computing. The guest
// cannot leave here; but it can be ended, its memory can be looked at, and it
// can be led to its scheduler and from there to a place where it can leave.
func (i *Instance) yield() {
	wanted := i.attention.Load()
	if wanted {
		i.mu.Lock()
		killed := i.killed
		if killed == nil {
			i.visits()
			killed = i.killed
		}
		wanted = i.pause != nil
		i.mu.Unlock()
		if killed != nil {
			panic(sys.NewExitError(1))
		}
	}
	if !i.ready {
		return
	}
	now := time.Now()
	if wanted {
		i.globals[program.GlobalTurns].Set(hurriedTurns)
	} else if now.Sub(i.sliced) < timeSlice {
		return
	}
	i.sliced = now
	i.preempt()
}

// preempt makes the guest's present goroutine call its scheduler soon.
func (i *Instance) preempt() {
	g := i.globals[program.GlobalG].Get()
	if g == i.g0 || g > 1<<32-1-stackguard0 {
		return // the scheduler itself must not be preempted
	}
	if p, ok := i.mem.slice(uint32(g)+stackguard0, 8); ok {
		binary.LittleEndian.PutUint64(p, stackPreempt)
	}
}

// visits runs the functions that wait for a safe point. The lock is held, and
// released meanwhile.
func (i *Instance) visits() {
	for len(i.atSafe) > 0 {
		v := i.atSafe[0]
		i.atSafe = i.atSafe[1:]
		i.mu.Unlock()
		v.f(i.mem.bytes())
		close(v.done)
		i.mu.Lock()
	}
}
