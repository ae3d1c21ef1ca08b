package sandbox

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/program"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// A hostFunc is a function that guests can import. Arguments and result are
// as they lie on WebAssembly's stack.
type hostFunc struct {
	params []api.ValueType
	void   bool // it has no result
	waits  bool // only the Go scheduler calls it
	call   func(i *Instance, args []uint64) uint32
}

// hostFuncs returns all that guests can import.
func hostFuncs() map[program.Import]hostFunc {
	all := map[program.Import]hostFunc{
		{Module: abi.Module, Name: abi.Submit}: {
			params: []api.ValueType{i64, i32, i32, i32},
			call: func(i *Instance, args []uint64) uint32 {
				p, ok := i.mem.slice(uint32(args[2]), uint32(args[3]))
				if !ok {
					return errnoFault
				}
				return i.submit(args[0], uint32(args[1]), p)
			},
		},
		{Module: abi.Module, Name: abi.Take}: {
			params: []api.ValueType{i32, i32},
			call: func(i *Instance, args []uint64) uint32 {
				p, ok := i.mem.slice(uint32(args[0]), uint32(args[1]))
				if !ok {
					return 0
				}
				return i.take(p)
			},
		},
	}
	for name, f := range wasi {
		all[program.Import{Module: wasiModule, Name: name}] = f
	}
	return all
}

// provided reports whether guests can import imp.
func provided(imp program.Import) bool {
	_, ok := hostFuncs()[imp]
	return ok
}

// exportHost makes the host functions known to an engine.
func exportHost(ctx context.Context, engine wazero.Runtime) error {
	builders := map[string]wazero.HostModuleBuilder{}
	for imp, f := range hostFuncs() {
		b, ok := builders[imp.Module]
		if !ok {
			b = engine.NewHostModuleBuilder(imp.Module)
			builders[imp.Module] = b
		}
		results := []api.ValueType{i32}
		if f.void {
			results = nil
		}
		b.NewFunctionBuilder().WithGoFunction(f.enter(), f.params, results).Export(imp.Name)
	}
	builders[program.YieldModule].NewFunctionBuilder().WithGoFunction(
		api.GoFunc(func(ctx context.Context, stack []uint64) {
			if ctx.Value(instanceKey{}).(*Instance).yield(uint32(stack[0])) {
				stack[0] = 1
			} else {
				stack[0] = 0
			}
		}),
		[]api.ValueType{i32}, []api.ValueType{i32}).Export(program.YieldName)
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("sandbox: host module %q: %w", name, err)
		}
	}
	return nil
}

// enter wraps f for the engine. Every entry is a safe point.
func (f hostFunc) enter() api.GoFunc {
	return func(ctx context.Context, stack []uint64) {
		i := ctx.Value(instanceKey{}).(*Instance)
		if i.enter(f.waits) {
			return // what is on the stack as a result is not looked at
		}
		result := f.call(i, stack)
		i.resumed = false
		if !f.void {
			stack[0] = uint64(result)
		}
	}
}
