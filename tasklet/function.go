package tasklet

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/dstackless/dstackless/codec"
)

const (
	// MaxFunctionName is the length of the longest name of a function, in bytes.
	MaxFunctionName = 255
	// MaxFunctionState is the size of the largest state of a function tasklet,
	// encoded: 16 MiB.
	MaxFunctionState = 16 << 20
)

// A Function makes calls of a Go function that can run as a tasklet. [Func]
// makes one.
type Function[S any] func(state S) Call

// AnyFunction is a [Function] of whatever state.
type AnyFunction interface{ definition() *definition }

func (f Function[S]) definition() *definition { return f(*new(S)).function }

// A Call is a function with the state that it begins with. See [Host.Go].
type Call struct {
	function *definition
	state    any // pointer to it
}

// Func gives f a name, under which it can run as a tasklet at each peer that has
// it in its [Options.Functions]. Such a tasklet runs at native speed, in one
// goroutine, and its state is all that travels when it moves.
//
// State is a value that gob can encode, as f's call has it or as f left it when
// the tasklet last stood still: f may change it at any time, and nobody else
// does. It is a copy of what the call was given. A time in it is by the clock of
// the peer that took it, and loses its monotonic part when the tasklet moves: two
// peers' clocks may differ, so a state had better say how much time is left.
//
// # How a function is written
//
// When the tasklet is to be moved, suspended or recorded on disk, ctx is
// cancelled: the operations on channels that wait are withdrawn, as always, and
// return ctx's error, or what came of them if they had been matched. F then
// returns that error, and is called again with the state as it left it: at the
// destination, or here if it was only recorded or the move failed. So f is a
// loop over its state, which says at each operation what is yet to be done:
//
//	for ; s.N < 100; s.N++ {
//		if err := numbers.Send(ctx, s.N); err != nil {
//			return err
//		}
//	}
//
// S.N is counted after the Send that succeeded, so that each number is sent
// once, however often and wherever f is called. The rules are:
//
//   - State is changed for an operation when its outcome is known, and not
//     before.
//   - Whatever returns the error of ctx, f returns it, wrapped or not, without
//     delay. Any other return ends the tasklet, also after ctx was cancelled: so
//     a result that came at the last moment is never lost.
//   - Goroutines that f started have ended, and asynchronous sends are waited
//     for, when it returns.
//   - Code that computes for long without an operation calls [Self.Yield] now
//     and then. A function that does neither cannot be stopped: a move waits
//     for it until the context of the move ends, and a peer that is closed
//     waits, too.
//
// F can tell by [context.Cause] why ctx ended: [ErrMoving] or [ErrParking] if it
// will be called again, [ErrKilled] or another error if it will not.
//
// A function that waits needs its goroutine, 8 KB together. Where there are very
// many that wait for long, park them: see [Self.Parking].
//
// A panic ends the tasklet, with a [CrashError], and not the peer. A function
// runs outside of any sandbox: limits on memory and processor time are not for
// it.
func Func[S any](name string, f func(ctx context.Context, self *Self, state *S) error) Function[S] {
	d := &definition{
		spec:  spec{function: name, shape: schemaOf(reflect.TypeFor[S]())},
		fresh: func() any { return new(S) },
		run:   func(ctx context.Context, self *Self, state any) error { return f(ctx, self, state.(*S)) },
	}
	return func(state S) Call { return Call{d, &state} }
}

// A definition is a function of any state.
type definition struct {
	spec
	fresh func() any
	run   func(ctx context.Context, self *Self, state any) error
}

// define notes the functions that may run here.
func (h *Host) define(functions []AnyFunction) error {
	for _, f := range functions {
		d := f.definition()
		switch {
		case d.function == "" || len(d.function) > MaxFunctionName:
			return fmt.Errorf("function %.40q: a name has 1 to %d bytes", d.function, MaxFunctionName)
		case h.functions[d.function] != nil:
			return fmt.Errorf("function %q is registered twice", d.function)
		}
		h.functions[d.function] = d
	}
	return nil
}

// defined returns the function of that name, whose state must have the schema.
func (h *Host) defined(name, shape string) (*definition, error) {
	d := h.functions[name]
	switch {
	case d == nil:
		return nil, fmt.Errorf("peer %s has no function %q; register it there too (Options.Functions)", h.node.ID(), name)
	case d.shape != shape:
		return nil, fmt.Errorf("the state of function %q is %s at peer %s, and this one's is %s; run one version of it at both",
			name, d.shape, h.node.ID(), shape)
	}
	return d, nil
}

// encode encodes a state.
func (d *definition) encode(state any) ([]byte, error) {
	data, err := codec.Marshal(state, MaxFunctionState)
	if errors.Is(err, codec.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrLimit, err)
	}
	if err != nil {
		return nil, fmt.Errorf("state of function %q: %w", d.function, err)
	}
	return data, nil
}

// decode is the inverse of encode.
func (d *definition) decode(data []byte) (any, error) {
	state := d.fresh()
	if err := codec.Unmarshal(data, state); err != nil {
		return nil, fmt.Errorf("%w: state of function %q: %w", ErrContinuation, d.function, err)
	}
	return state, nil
}
