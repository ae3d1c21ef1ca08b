package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/dstackless/dstackless/tasklet/program"
)

// A visit is a function that waits to be run at a safe point.
type visit struct {
	f    func(memory []byte)
	done chan struct{}
}

// alert makes the guest look around: at its next host call, or now if it waits.
// The lock is held.
func (i *Instance) alert() {
	i.attention.Store(true)
	select {
	case i.hurry <- struct{}{}:
	default:
	}
	i.poke()
}

// poke ends the guest's waiting, if it waits. The lock is held.
func (i *Instance) poke() {
	if i.phase == resting {
		i.rouse()
		return
	}
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Pause makes the guest leave at its next safe point and returns when it has.
// It is then no more than its memory, see [Instance.Memory], and its state, see
// [Instance.State]. Pausing a paused guest does nothing.
//
// The error is ErrExited if the guest came to its end instead. If ctx ends
// first, the request is withdrawn, the guest goes on, and the error wraps
// ErrBusy and the context's.
func (i *Instance) Pause(ctx context.Context) error {
	i.mu.Lock()
	if i.phase == resting {
		i.getUp()
		i.phase = paused
	}
	if err := i.is(running); err != nil {
		defer i.mu.Unlock()
		if i.phase == paused && !i.closed {
			return nil
		}
		return err
	}
	if i.pause == nil {
		i.pause = make(chan struct{})
	}
	left := i.pause
	i.alert()
	i.mu.Unlock()

	select {
	case <-left:
		return nil
	case <-i.done:
		return ErrExited
	case <-ctx.Done():
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.pause == left:
		i.pause = nil
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	case i.phase == exited:
		return ErrExited
	}
	return nil
}

// AtSafePoint has the guest's own goroutine call f with its memory at its next
// safe point, after which the guest goes on, and returns when it has. For a
// guest that has none, because it is paused, not started or has waited for long,
// the caller's does at once. f must not keep the memory, nor call methods of the
// instance.
//
// The error is ErrExited if the guest came to its end instead. If ctx ends
// first, f is not called and the error wraps ErrBusy and the context's.
func (i *Instance) AtSafePoint(ctx context.Context, f func(memory []byte)) error {
	i.mu.Lock()
	if i.closed || i.phase != running {
		defer i.mu.Unlock()
		if i.closed {
			return ErrClosed
		}
		if i.phase == exited {
			return ErrExited
		}
		f(i.mem.bytes())
		return nil
	}
	v := &visit{f: f, done: make(chan struct{})}
	i.atSafe = append(i.atSafe, v)
	i.alert()
	i.mu.Unlock()

	select {
	case <-v.done:
		return nil
	case <-i.done:
		return ErrExited
	case <-ctx.Done():
	}
	i.mu.Lock()
	for n, w := range i.atSafe {
		if w == v {
			i.atSafe = append(i.atSafe[:n:n], i.atSafe[n+1:]...)
			i.mu.Unlock()
			return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
		}
	}
	i.mu.Unlock()
	<-v.done // it is running
	return nil
}

// enter is called by the guest's goroutine at the beginning of every host call.
// It reports whether the guest is to leave instead: then the call has not
// happened, and must be returned from at once.
func (i *Instance) enter(waits bool) (leave bool) {
	if !i.ready {
		// While the runtime initializes itself there is no goroutine but
		// the first, g0. A call from another one, or an idle scheduler,
		// shows that it is done.
		g := i.engine.globals[program.GlobalG].Get()
		if i.g0 == 0 {
			i.g0 = g
		}
		i.ready = waits || g != i.g0
	}
	if i.asked++; i.asked%callsPerLook == 0 {
		i.computed(time.Now())
		i.overspent()
	}
	if !i.attention.Load() {
		return false
	}
	return i.attend()
}

// callsPerLook is after how many host calls the host looks how long a guest has
// computed. What the host does in them is the guest's time.
const callsPerLook = 16

// attend does what was asked for. See enter.
func (i *Instance) attend() (leave bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.visits()
	i.obey()
	if !i.ready {
		return false
	}
	if i.pause == nil {
		i.attention.Store(false)
		return false
	}
	i.leave(false)
	return true
}

// obey ends the guest if it is to end. The lock is held.
func (i *Instance) obey() {
	if i.leaving && i.killed == nil {
		i.killed = fmt.Errorf("%w: it was to leave and did not", ErrProtocol)
	}
	if i.killed != nil {
		panic(sys.NewExitError(1)) // unwinds the guest; settle knows why
	}
}

// leave tells the guest to leave. The lock is held.
func (i *Instance) leave(inLoop bool) {
	i.leaving, i.inLoop = true, inLoop
	i.engine.globals[program.GlobalPause].Set(1)
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
