package sandbox_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// allocated returns how much memory this process has allocated while f ran, in
// MiB. Where machine code has its stack is a part of it.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) >> 20
}

// A program that calls itself deep costs its host little memory beside its own,
// and goes on: its calls are in its own memory.
func TestDeepRecursion(t *testing.T) {
	var out output
	guest(t, "deep")
	began := time.Now()
	mib := allocated(func() {
		i := start(t, "deep", sandbox.Config{Args: []string{"deep", "200000"}, Output: out.write, MemoryLimit: 1 << 30})
		if status, err := wait(t, i); status != 0 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
	})
	if out.String() != strings.Repeat("200000\n", 4) {
		t.Errorf("it wrote %q", &out)
	}
	if mib > 100 {
		t.Errorf("it took %d MiB of its host", mib)
	}
	t.Logf("it took %d MiB of its host, one after the other, and %v", mib, time.Since(began))
}

// A module that calls itself for ever in a way that the Go compiler does not, and
// that nobody can leave, is ended before it has taken much of its host.
func TestEndlessRecursion(t *testing.T) {
	for name, body := range map[string]string{
		"calls itself":       "\x00\x41\x00\x10\x02\x0b",
		"through a table":    "\x00\x41\x00\x41\x82\x20\x11\x00\x00\x0b",
		"with a large frame": "\x01\x20\x7f\x20\x00" + strings.Repeat("\x20\x00\x41\x03\x6c\x22\x00", 200) + "\x41\x00\x10\x02" + strings.Repeat("\x6a", 201) + "\x0b",
	} {
		t.Run(name, func(t *testing.T) {
			code := craft(t, crafted.Program(crafted.Function{Type: crafted.GoFunction, Body: body}))
			began := time.Now()
			mib := allocated(func() {
				i := run(t, code, sandbox.Config{})
				if status, err := wait(t, i); status != -1 || !errors.Is(err, sandbox.ErrStack) {
					t.Errorf("%d, %v", status, err)
				}
			})
			if mib > 80 {
				t.Errorf("it took %d MiB of its host", mib)
			}
			t.Logf("it took %d MiB of its host, one after the other, and %v", mib, time.Since(began))
		})
	}
}
