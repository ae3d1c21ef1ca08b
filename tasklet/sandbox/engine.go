package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/dstackless/dstackless/tasklet/program"
)

// idlePerProcessor is how many engines of one program are kept for later, for
// each processor.
const idlePerProcessor = 4

// Registers are the program's globals. A guest that no engine runs is these and
// its memory.
type registers [program.Globals]uint64

// An engine runs guests of one program, one at a time. It is the module's
// instance, of which nothing is a guest's own: the program loader accepts no
// module with anything in it that can change besides memory and globals.
type engine struct {
	module  api.Module
	globals [program.Globals + 1]api.MutableGlobal
	memory  *memory // of the guest that it runs, if any

	stack reflect.Value // of the call that runs the guest: a slice
}

// take returns an engine that runs on memory m.
func (c *Code) take(m *memory) (*engine, error) {
	c.mu.Lock()
	var e *engine
	if n := len(c.idle); n > 0 {
		e, c.idle = c.idle[n-1], c.idle[:n-1]
	}
	c.mu.Unlock()
	if e != nil {
		if e.attach(m) {
			return e, nil
		}
		e.close()
	}
	return c.newEngine(m)
}

// give takes an engine back.
func (c *Code) give(e *engine) {
	if e.detach() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.idle) < idlePerProcessor*runtime.GOMAXPROCS(0) {
			c.idle = append(c.idle, e)
			return
		}
	}
	e.close()
}

func (c *Code) newEngine(m *memory) (*engine, error) {
	e := &engine{memory: m}
	var err error
	e.module, err = c.engine.InstantiateModule(
		experimental.WithMemoryAllocator(context.Background(), e), c.module,
		// Guests have no randomness of the engine's; its default would
		// take 5 KiB for each.
		wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader))
	if err != nil {
		return nil, fmt.Errorf("sandbox: instantiate: %w", err)
	}
	for n := range e.globals {
		e.globals[n] = e.module.ExportedGlobal(program.ExportGlobal(n)).(api.MutableGlobal)
	}
	if !e.has(m.size) && !e.attach(m) {
		e.close()
		return nil, fmt.Errorf("sandbox: instantiate: a memory of %d bytes cannot be used", m.size)
	}
	return e, nil
}

func (e *engine) close() { e.module.Close(context.Background()) }

// attach gives an engine without memory that of a guest. An engine asks for
// its memory anew whenever it grows.
func (e *engine) attach(m *memory) bool {
	e.memory = m
	have, _ := e.module.Memory().Grow(0)
	_, ok := e.module.Memory().Grow(uint32(m.size/program.PageSize) - have)
	return ok && e.has(m.size)
}

// detach takes the guest's memory from an engine, which has none then. It
// reports whether the engine can be used again.
func (e *engine) detach() bool {
	e.memory = nil
	e.module.Memory().Grow(1)
	return e.has(0)
}

// has reports whether the engine has a memory of size bytes.
func (e *engine) has(size uint64) bool {
	pages, _ := e.module.Memory().Grow(0)
	return uint64(pages) == size/program.PageSize
}

// Allocate returns the engine itself, whose memory is its guest's.
func (e *engine) Allocate(_, _ uint64) experimental.LinearMemory { return e }

// Reallocate returns the guest's memory, grown if it is smaller than size, or
// nil if that is over its limit.
func (e *engine) Reallocate(size uint64) []byte {
	switch {
	case e.memory == nil:
		return []byte{}
	case size > e.memory.size && !e.memory.grow(size):
		return nil
	}
	return e.memory.bytes()
}

// Free does nothing: the memory is its guest's.
func (e *engine) Free() {}

// call runs one of the module's exported functions.
func (e *engine) call(ctx context.Context, name string) error {
	f := e.module.ExportedFunction(name)
	if v := reflect.Indirect(reflect.ValueOf(f)); v.Kind() == reflect.Struct {
		e.stack = v.FieldByName("stack")
	}
	defer func() { e.stack = reflect.Value{} }()
	_, err := f.Call(ctx)
	return err
}

// stackSize returns how many bytes the machine code of the guest has for its own
// stack, which wazero makes larger as it is needed, up to 100 MB, and does not
// tell. It is 0 if it cannot be known; TestDeepRecursion would fail.
func (e *engine) stackSize() int {
	if e.stack.Kind() != reflect.Slice {
		return 0
	}
	return e.stack.Len()
}

// load makes r the engine's registers.
func (e *engine) load(r *registers) {
	for n, v := range r {
		e.globals[n].Set(v)
	}
	e.globals[program.GlobalTurns].Set(program.TurnsPerYield)
}

// store copies the engine's registers to r.
func (e *engine) store(r *registers) {
	for n := range r {
		r[n] = e.globals[n].Get()
	}
}
