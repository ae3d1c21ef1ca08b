package sandbox_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// until waits until a guest has written s.
func (o *output) until(t testing.TB, s string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(o.String(), s); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("the guest did not write %q but %q", s, o)
		}
	}
}

func TestExit(t *testing.T) {
	for _, test := range []struct {
		args   []string
		limit  uint64
		status int
		err    error
		output string
	}{
		{args: []string{"busy", "calls", "10"}, output: "start\n55\n"},
		{args: []string{"busy", "exit", "7"}, status: 7},
		{args: []string{"busy", "panic"}, status: 2, output: "panic: at the guest's"},
		{args: []string{"busy", "memory"}, limit: 16 << 20, status: 2, err: sandbox.ErrMemory, output: "out of memory"},
		{args: []string{"busy", "timers"}, output: "ticked"},
		{args: []string{"busy", "deep", "10000"}, output: "10000"},
		{args: []string{"busy", "frames", "16"}, output: "frames 1092960704"},
	} {
		for kind, code := range map[string]*sandbox.Code{"": guest(t, "busy"), " plain": guest(t, "busy").Plain()} {
			t.Run(test.args[1]+kind, func(t *testing.T) {
				var out output
				i := run(t, code, sandbox.Config{Args: test.args, MemoryLimit: test.limit, Output: out.write})
				status, err := wait(t, i)
				if status != test.status || !errors.Is(err, test.err) || !strings.Contains(out.String(), test.output) {
					t.Errorf("status %d, %v, output %q; want %d, %v, %q", status, err, &out, test.status, test.err, test.output)
				}
				if err := i.Pause(within(t)); !errors.Is(err, sandbox.ErrExited) {
					t.Errorf("Pause after the end: %v", err)
				}
			})
		}
	}
}

// A program that needs more memory to start with than it may have is refused.
func TestMemoryTooSmall(t *testing.T) {
	if _, err := guest(t, "busy").New(sandbox.Config{MemoryLimit: 1 << 20}); !errors.Is(err, sandbox.ErrMemory) {
		t.Errorf("New: %v", err)
	}
}

func TestKill(t *testing.T) {
	own := errors.New("own reason")
	for _, args := range [][]string{
		{"sleep", "1h"}, {"busy", "forever"}, {"busy", "loop"},
	} {
		t.Run(args[0]+args[1], func(t *testing.T) {
			var out output
			i := start(t, args[0], sandbox.Config{Args: args, Output: out.write})
			out.until(t, "s")
			i.Kill(own)
			if status, err := wait(t, i); status != -1 || err != own {
				t.Errorf("Exit: %d, %v", status, err)
			}
			i.Kill(nil) // too late
			if _, err := i.Exit(); err != own {
				t.Errorf("Exit after a second kill: %v", err)
			}
		})
	}
	t.Run("not started", func(t *testing.T) {
		i, err := guest(t, "busy").New(sandbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		i.Kill(nil)
		if _, err := wait(t, i); !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("Exit: %v", err)
		}
		if err := i.Start(); !errors.Is(err, sandbox.ErrExited) {
			t.Errorf("Start: %v", err)
		}
		i.Close()
		i.Close()
		if err := i.Start(); !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("Start after Close: %v", err)
		}
	})
	t.Run("paused", func(t *testing.T) {
		i := start(t, "busy", sandbox.Config{Args: []string{"busy", "forever"}})
		if err := i.Pause(within(t)); err != nil {
			t.Fatal(err)
		}
		i.Kill(own)
		if _, err := i.Exit(); err != own {
			t.Errorf("Exit: %v", err)
		}
		if err := i.Continue(); !errors.Is(err, sandbox.ErrExited) {
			t.Errorf("Continue: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		i := start(t, "busy", sandbox.Config{Args: []string{"busy", "loop"}})
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if _, err := i.Exit(); !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("Exit: %v", err)
		}
		if i.Memory() != nil {
			t.Error("a closed instance has memory")
		}
	})
}

// A guest that computes does not keep the host's garbage collector waiting: this
// test would not end. Nor does it keep those waiting who want to stop it.
func TestHostIsNotHeldUp(t *testing.T) {
	for _, what := range []string{"forever", "loop", "closures", "mutual", "copies"} {
		t.Run(what, func(t *testing.T) {
			var out output
			i := start(t, "busy", sandbox.Config{Args: []string{"busy", what}, Output: out.write})
			out.until(t, "start")
			for range 10 {
				runtime.GC()
			}
			for range 10 {
				if err := i.Pause(within(t)); err != nil {
					t.Fatal(err)
				}
				if err := i.Continue(); err != nil {
					t.Fatal(err)
				}
			}
			i.Close()
		})
	}
}

// Pause waits for what the guest is doing, and a request that is given up does
// not harm it.
func TestPauseGivenUp(t *testing.T) {
	block, in := make(chan struct{}), make(chan struct{}, 100)
	i := start(t, "busy", sandbox.Config{Args: []string{"busy", "calls", "10"}, Output: func(p []byte) {
		in <- struct{}{}
		<-block
	}})
	<-in
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := i.Pause(ctx); !errors.Is(err, sandbox.ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("Pause: %v", err)
	}
	if err := i.AtSafePoint(ctx, func([]byte) { t.Error("called") }); !errors.Is(err, sandbox.ErrBusy) {
		t.Errorf("AtSafePoint: %v", err)
	}
	if _, err := i.State(); !errors.Is(err, sandbox.ErrState) {
		t.Errorf("State of a running guest: %v", err)
	}
	if i.Memory() != nil {
		t.Error("a running guest shows its memory")
	}
	close(block)
	if status, err := wait(t, i); status != 0 || err != nil {
		t.Errorf("Exit: %d, %v", status, err)
	}
}

func TestAtSafePoint(t *testing.T) {
	for _, args := range [][]string{
		{"sleep", "1h"}, {"busy", "forever"}, {"busy", "loop"},
	} {
		var out output
		i := start(t, args[0], sandbox.Config{Args: args, Output: out.write})
		out.until(t, "s")
		size := 0
		if err := i.AtSafePoint(within(t), func(m []byte) { size = len(m) }); err != nil || size == 0 {
			t.Errorf("%v: %v, %d bytes", args, err, size)
		}
		if err := i.Pause(within(t)); err != nil {
			t.Errorf("%v: Pause: %v", args, err)
		}
		if err := i.AtSafePoint(within(t), func(m []byte) { size = -1 }); err != nil || size != -1 {
			t.Errorf("%v, paused: %v", args, err)
		}
		i.Close()
	}
}

// The time on the way passes for a program too, and no more than that.
func TestClock(t *testing.T) {
	for _, test := range []struct {
		name, sleep string
		wall        time.Duration // how much earlier the state says it was taken
		output      string
	}{
		{"slept on the way", "1h", time.Hour, "slept true true\n"},
		{"slept almost", "1h", time.Hour - 50*time.Millisecond, "slept true true\n"},
		{"clock behind", "50ms", -time.Hour, "slept true true\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out output
			cfg := sandbox.Config{Args: []string{"sleep", test.sleep}, Output: out.write}
			i := start(t, "sleep", cfg)
			out.until(t, "asleep")
			for !i.Waited() { // it may be about to
				runtime.Gosched()
			}
			if err := i.Pause(within(t)); err != nil {
				t.Fatal(err)
			}
			i = move(t, guest(t, "sleep"), i, cfg, func(s *sandbox.State) { s.Wall -= int64(test.wall) })
			if status, err := wait(t, i); status != 0 || err != nil {
				t.Errorf("Exit: %d, %v", status, err)
			}
			if !strings.HasSuffix(out.String(), test.output) {
				t.Errorf("output %q; want %q", &out, test.output)
			}
		})
	}
}
