package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/dstackless/dstackless/tasklet/program"
)

// Waited reports whether the guest has waited for something.
func (i *Instance) Waited() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.idled
}

// Rests reports whether the guest has waited so long that it rests.
func (i *Instance) Rests() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.phase == resting
}

// SetPatience sets how long a guest that does not run yet waits before it
// rests.
func (i *Instance) SetPatience(d time.Duration) { i.patience = d }

// HostFuncs returns what guests can import, in order.
func HostFuncs() []program.Import {
	return slices.SortedFunc(maps.Keys(hostFuncs()), func(a, b program.Import) int {
		return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Name, b.Name))
	})
}

// HostParams returns how many parameters a host function has.
func HostParams(imp program.Import) int { return len(hostFuncs()[imp].params) }

// NewVictim returns an instance without a program, for HostCall, and what frees
// it. Behind its memory there is none that could be read by mistake: its limit
// is its size.
func NewVictim(size uint64, cfg Config) (*Instance, func(), error) {
	mem, err := newMemory(size)
	if err != nil {
		return nil, nil, err
	}
	mem.grow(size)
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	i := &Instance{cfg: cfg, mem: mem, code: &Code{processors: newProcessors()}, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), done: make(chan struct{}), calls: map[uint64]pending{}}
	return i, mem.free, nil
}

// HostCall calls a host function as the guest would, which does not run. Where
// the guest would wait for something it is ended instead. Args beyond the
// function's own are ignored, and missing ones 0.
func (i *Instance) HostCall(imp program.Import, args []uint64) (result uint32, ended bool) {
	i.mu.Lock()
	i.killed = ErrClosed
	i.alert()
	i.mu.Unlock()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *sys.ExitError:
			ended = true
		default:
			panic(r)
		}
	}()
	f := hostFuncs()[imp]
	stack := make([]uint64, len(f.params))
	copy(stack, args)
	for n, p := range f.params {
		if p == i32 {
			stack[n] = uint64(uint32(stack[n])) // as the engine has it
		}
	}
	return f.call(i, stack), false
}

// SetShadow has the instance's snapshot be kept in one of the ways of Shadows.
func (i *Instance) SetShadow(kind string) error {
	s, err := Shadows[kind](i)
	i.snap = &Snapshot{i: i, shadow: s}
	return err
}

// Plain returns the same code with no more help of the system than there is on
// every system: memory that is allocated, and moves, copies of the image, and
// snapshots that compare. It need not be closed.
func (c *Code) Plain() *Code {
	return &Code{engine: c.engine, module: c.module, pages: c.pages, image: c.image, processors: c.processors, newMemory: newPlain}
}

// Alarmed reports whether the guest has an alarm that is to wake it.
func (i *Instance) Alarmed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.alarm != nil
}

// SoilIdle changes the registers of the engines that nobody uses. It fails
// unless there are some, and they have no memory.
func (c *Code) SoilIdle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return errors.New("there is no idle engine")
	}
	for _, e := range c.idle {
		if e.memory != nil || e.module.Memory().Size() != 0 {
			return fmt.Errorf("an idle engine has %d bytes of memory", e.module.Memory().Size())
		}
		for _, g := range e.globals {
			g.Set(1)
		}
	}
	return nil
}
