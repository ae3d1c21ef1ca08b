package sandbox

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
)

// timeSlice is how long one goroutine of a guest may compute while others wait,
// as on other platforms.
const timeSlice = 10 * time.Millisecond

// hurriedTurns is how soon, at the latest, a guest lets its host in again while the
// host wants something of it. When exactly is random: a guest that makes the same
// turns again and again must not let the host in each time where it cannot be left.
const hurriedTurns = 1 << 12

// Machine code has a stack of its own, beside that of the guest's goroutines,
// which is no part of the guest's memory. A guest leaves, and goes on without it, when
// it is larger than maxStack, in bytes. It has at most some 20 MB then: the entry of
// a function counts the more turns the larger the function is.
const (
	maxStack     = 8 << 20
	hardMaxStack = 16 << 20 // at which a guest is ended that cannot be left
	deepTurns    = 64       // how soon it is asked again
	maxDeep      = 64       // how often
)

// Go's way to preempt a goroutine: a stack limit above all stacks, in the field
// g.stackguard0, sends its next function call to the scheduler. See
// runtime/preempt.go and runtime/stack.go.
const (
	stackPreempt = 0xfffffffffffffade
	stackguard0  = 16
)

// yield is called by the guest's goroutine in the midst of computing. It is a
// safe point, unless where says that it is none or the scheduler itself is what
// computes. Everywhere else the guest can be ended and its memory looked at.
//
// It also is what keeps one goroutine of the guest from computing while others
// wait, as sysmon does on other platforms.
func (i *Instance) yield(where uint32) (resume bool) {
	if i.resumed {
		i.resumed = false
		if i.inLoop {
			i.inLoop = false
			return true
		}
	}
	now := time.Now()
	i.computed(now)
	i.overspent()
	i.shareTurn(now)
	defer func() { i.lap = time.Now() }() // what the host's scheduler does in here is not the guest's time
	g := i.engine.globals[program.GlobalG].Get()
	own := i.ready && g != i.g0
	if i.engine.stackSize() > maxStack && i.shrink(where, own) {
		return false
	}
	if i.attention.Load() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.visits()
		i.obey()
		switch {
		case i.pause != nil && where != program.YieldOnly && own:
			i.leave(where == program.YieldLoop)
			return false
		case i.pause != nil:
			i.engine.globals[program.GlobalTurns].Set(1 + rand.Uint64N(hurriedTurns))
		}
	}
	if own && now.Sub(i.sliced) >= timeSlice {
		i.sliced = now
		i.preempt(g)
	}
	return false
}

// shrink has a guest whose machine code has a large stack leave, upon which the
// stack is gone, and go on: what a Go program needs of it is in its memory. Where
// the guest cannot be left it is asked again soon, and ended if that does not
// help: no Go program calls so deep there. It reports whether the guest leaves.
func (i *Instance) shrink(where uint32, own bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.obey() // also if it was told before, and goes on calling
	if where != program.YieldOnly && own {
		i.leave(where == program.YieldLoop)
		return true
	}
	i.engine.globals[program.GlobalTurns].Set(deepTurns)
	if i.deep++; i.deep > maxDeep && i.engine.stackSize() > hardMaxStack {
		i.killed = fmt.Errorf("%w: its calls take %d bytes of the host's memory", ErrStack, i.engine.stackSize())
		i.obey()
	}
	return false
}

// enterLoop prepares a guest that was left in a loop for being entered again;
// see program.AskHost. What is on its stack is its own business: a guest whose
// stack is nowhere will fail by itself.
func (i *Instance) enterLoop() {
	pc, ok := i.mem.slice(uint32(i.registers[program.GlobalSP])-8, 8)
	next, ok2 := i.mem.slice(program.NextAddr, 4)
	if ok && ok2 {
		binary.LittleEndian.PutUint32(next, uint32(binary.LittleEndian.Uint16(pc)))
		binary.LittleEndian.PutUint16(pc, program.AskHost)
	}
}

// preempt makes the guest's present goroutine g call its scheduler soon. It must
// not be g0.
func (i *Instance) preempt(g uint64) {
	if g > 1<<32-1-stackguard0 {
		return
	}
	if p, ok := i.mem.slice(uint32(g)+stackguard0, 8); ok {
		binary.LittleEndian.PutUint64(p, stackPreempt)
	}
}
