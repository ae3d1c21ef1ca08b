package sandbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A guest that computes too long is ended; its time goes along with its state,
// and waiting costs none.
func TestCPULimit(t *testing.T) {
	for _, what := range []string{"forever", "loop"} {
		var out output
		cfg := sandbox.Config{Args: []string{"busy", what}, Output: out.write, CPULimit: time.Hour}
		i := start(t, "busy", cfg)
		out.until(t, "start")
		if err := i.Pause(within(t)); err != nil {
			t.Fatal(err)
		}
		i = move(t, guest(t, "busy"), i, cfg, func(s *sandbox.State) {
			if s.CPU <= 0 {
				t.Errorf("it has computed for %d ns", s.CPU)
			}
			s.CPU += int64(time.Hour - 100*time.Millisecond)
		})
		began := time.Now()
		if status, err := wait(t, i); status != -1 || !errors.Is(err, sandbox.ErrCPU) {
			t.Errorf("%s: %d, %v", what, status, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it took %v", what, took)
		}
	}
	var out output
	i := start(t, "sleep", sandbox.Config{Args: []string{"sleep", "300ms"}, Output: out.write, CPULimit: 200 * time.Millisecond})
	if status, err := wait(t, i); status != 0 || err != nil {
		t.Errorf("a guest that waits: %d, %v", status, err)
	}
}

func TestReserve(t *testing.T) {
	own := errors.New("own reason")
	var size uint64
	i := start(t, "busy", sandbox.Config{Args: []string{"busy", "memory"}, Reserve: func(n uint64) error {
		if n > 24<<20 {
			return own
		}
		size = n
		return nil
	}})
	if status, err := wait(t, i); status != 2 || !errors.Is(err, own) || size == 0 {
		t.Errorf("%d, %v, %d bytes", status, err, size)
	}
	if _, err := guest(t, "busy").New(sandbox.Config{Reserve: func(uint64) error { return own }}); !errors.Is(err, own) {
		t.Errorf("new: %v", err)
	}
}

// A program can keep alive most of the memory that it may have: its runtime knows
// the limit, and collects in time.
func TestMemoryLimitIsKnown(t *testing.T) {
	for _, test := range []struct {
		args  []string
		limit uint64
	}{
		{[]string{"hold", "120"}, 256 << 20},
		{[]string{"hold", "40"}, 64 << 20},
		{[]string{"hold", "5"}, 16 << 20},
	} {
		t.Run(test.args[1], func(t *testing.T) {
			var out output
			i := start(t, "hold", sandbox.Config{Args: test.args, MemoryLimit: test.limit, Output: out.write})
			status, err := wait(t, i)
			if text := out.String(); status != 0 || err != nil || !strings.HasPrefix(text, "held ") {
				t.Errorf("status %d, %v, output %.300q", status, err, text)
			} else {
				t.Log(text)
			}
		})
	}
}
