package sandbox_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// craft compiles a module that the Go compiler did not make.
func craft(t testing.TB, m *crafted.Module) *sandbox.Code {
	t.Helper()
	p, err := program.Load(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	code, err := engine.Compile(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { code.Close() })
	return code
}

// Whatever runs for ever lets its host in: it can be killed, is ended when its
// processor time is over, and does not keep the host from collecting garbage.
func TestEndless(t *testing.T) {
	for name, m := range crafted.Endless() {
		t.Run(name, func(t *testing.T) {
			code := craft(t, m)
			i := run(t, code, sandbox.Config{})
			runtime.GC()
			own := errors.New("own reason")
			began := time.Now()
			i.Kill(own)
			if status, err := wait(t, i); status != -1 || err != own {
				t.Errorf("killed: %d, %v", status, err)
			}
			killed := time.Since(began)
			i = run(t, code, sandbox.Config{CPULimit: 100 * time.Millisecond})
			began = time.Now()
			if status, err := wait(t, i); status != -1 || !errors.Is(err, sandbox.ErrCPU) {
				t.Errorf("over its processor time: %d, %v", status, err)
			}
			t.Logf("ended %v after it was killed, and %v after it began", killed, time.Since(began))
		})
	}
}

// A module that sets the counter of turns, which it does not have, is refused.
func TestCounterIsNotTheGuests(t *testing.T) {
	m := crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: "\x00\x03\x40\x41\xc0\x84\x3d\x24\x08\x0c\x00\x0b\x41\x00\x0b"})
	var refused *program.UnsupportedError
	if _, err := program.Load(m.Bytes()); !errors.As(err, &refused) || refused.Reason != program.Invalid {
		t.Errorf("error %v", err)
	}
}

// FuzzEndless runs whatever is accepted, and wants it to end when it is killed.
func FuzzEndless(f *testing.F) {
	for _, body := range []string{
		"\x00\x03\x40\x0c\x00\x0b\x41\x00\x0b",
		"\x00\x41\x00\x10\x03\x1a\x41\x00\x10\x03\x0b",
		"\x00\x03\x40\x41\x00\x41\x00\x41\x20\xfc\x0b\x00\x23\x00\x0d\x00\x0b\x41\x00\x0b",
		"\x03\x01\x7f\x02\x7e\x01\x7c\x23\x00\x21\x01\x02\x40\x03\x40\x02\x40\x02\x40\x20\x00\x0e\x02\x00\x01\x01\x0b\x41\x01\x21\x00\x0c\x01\x0b\x00\x0b\x41\x01\x0b",
	} {
		f.Add(body, body, body)
	}
	f.Fuzz(func(t *testing.T, one, two, three string) {
		m := crafted.Program(crafted.Function{Body: one}, crafted.Function{Body: two}, crafted.Function{Body: three, Type: crafted.Procedure})
		p, err := program.Load(m.Bytes())
		if err != nil {
			return
		}
		code, err := engine.Compile(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		defer code.Close()
		i, err := code.New(sandbox.Config{MemoryLimit: 64 * program.PageSize})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		if err := i.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-i.Done(): // by a fault of its own
			return
		case <-time.After(time.Millisecond):
		}
		i.Kill(nil)
		select {
		case <-i.Done():
		case <-time.After(10 * time.Second): // a second, on a busy machine
			t.Error("it lives 10 seconds after it was killed")
		}
	})
}
