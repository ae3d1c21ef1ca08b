//go:build unix

package sandbox_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
	"github.com/dstackless/dstackless/tasklet/sandbox/testdata/work"
)

// processor starts a clock that the other programs of the machine do not drive,
// and returns what reports its time.
func processor(b *testing.B) (report func()) {
	read := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := read()
	return func() { b.ReportMetric(float64((read()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op") }
}

// BenchmarkCompute does the same work natively, in a guest that can be stopped
// in its loops, and in one that cannot.
func BenchmarkCompute(b *testing.B) {
	counting := guest(b, "compute")
	wasm, err := os.ReadFile(filepath.Join(workdir, "compute.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := program.LoadTrusted(wasm)
	if err != nil {
		b.Fatal(err)
	}
	trusting, err := engine.Compile(context.Background(), p)
	if err != nil {
		b.Fatal(err)
	}
	defer trusting.Close()
	for _, what := range slices.Sorted(maps.Keys(work.All)) {
		b.Run(what+"/native", func(b *testing.B) {
			defer processor(b)()
			for b.Loop() {
				work.All[what]()
			}
		})
		for name, code := range map[string]*sandbox.Code{"guest": counting, "trusted": trusting} {
			b.Run(what+"/"+name, func(b *testing.B) {
				var out output
				i, err := code.New(sandbox.Config{Args: []string{"compute", what, strconv.Itoa(b.N)}, Output: out.write})
				if err != nil {
					b.Fatal(err)
				}
				defer i.Close()
				report := processor(b)
				if err := i.Start(); err != nil {
					b.Fatal(err)
				}
				if status, err := wait(b, i); status != 0 || err != nil {
					b.Fatal(status, err)
				}
				report()
				b.StopTimer()
				want := ""
				for range b.N {
					want += fmt.Sprintln(work.All[what]())
				}
				if out.String() != want {
					b.Errorf("it computes %s, and the host %s", &out, want)
				}
			})
		}
	}
}
