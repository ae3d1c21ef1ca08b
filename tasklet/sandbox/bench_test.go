package sandbox_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// module returns the program in testdata of that name, as it was built.
func module(b *testing.B, name string) []byte {
	guest(b, name)
	wasm, err := os.ReadFile(filepath.Join(workdir, name+".wasm"))
	if err != nil {
		b.Fatal(err)
	}
	return wasm
}

func load(b *testing.B, wasm []byte) *program.Program {
	p, err := program.Load(wasm)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkLoad checks and rewrites a program.
func BenchmarkLoad(b *testing.B) {
	wasm := module(b, "mix")
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		load(b, wasm)
	}
}

// BenchmarkCompile compiles a program with nothing in the cache.
func BenchmarkCompile(b *testing.B) {
	p := load(b, module(b, "mix"))
	for b.Loop() {
		r, err := sandbox.NewRuntime(context.Background(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Compile(context.Background(), p); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkCompileCached compiles a program that is in the cache on disk.
func BenchmarkCompileCached(b *testing.B) {
	p := load(b, module(b, "mix"))
	dir := b.TempDir()
	compile := func() {
		r, err := sandbox.NewRuntime(context.Background(), &sandbox.Options{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Compile(context.Background(), p); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
	compile()
	for b.Loop() {
		compile()
	}
}

// BenchmarkNew makes an instance that does not run, and closes it.
func BenchmarkNew(b *testing.B) {
	code := guest(b, "mix")
	for b.Loop() {
		i, err := code.New(sandbox.Config{})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

// BenchmarkMove stops a program and carries it on in a new instance, in which it
// runs again when the turn is over.
func BenchmarkMove(b *testing.B) {
	for _, args := range [][]string{{"sleep", "1h"}, {"busy", "forever"}, {"busy", "loop"}} {
		b.Run(args[0]+"-"+args[1], func(b *testing.B) {
			code := guest(b, args[0])
			var out output
			i := start(b, args[0], sandbox.Config{Args: args, Output: out.write})
			out.until(b, "s")
			var pause, state, create, fill, resume time.Duration
			for b.Loop() {
				t := time.Now()
				lap := func(d *time.Duration) { *d += time.Since(t); t = time.Now() }
				if err := i.Pause(context.Background()); err != nil {
					b.Fatal(err)
				}
				lap(&pause)
				s, err := i.State()
				if err != nil {
					b.Fatal(err)
				}
				lap(&state)
				next, err := code.New(sandbox.Config{})
				if err != nil {
					b.Fatal(err)
				}
				lap(&create)
				if err := next.Grow(s.Pages); err != nil {
					b.Fatal(err)
				}
				copy(next.Memory(), i.Memory())
				lap(&fill)
				if err := errors.Join(next.Adopt(s), next.Continue()); err != nil {
					b.Fatal(err)
				}
				if err := next.AtSafePoint(context.Background(), func([]byte) {}); err != nil {
					b.Fatal(err)
				}
				lap(&resume)
				i.Close()
				i = next
			}
			i.Close()
			for what, d := range map[string]time.Duration{"pause": pause, "state": state, "new": create, "fill": fill, "resume": resume} {
				b.ReportMetric(float64(d.Microseconds())/float64(b.N), what+"-µs")
			}
		})
	}
}

// BenchmarkPauseInPlace stops a program and carries it on where it is.
func BenchmarkPauseInPlace(b *testing.B) {
	for _, args := range [][]string{{"sleep", "1h"}, {"busy", "loop"}} {
		b.Run(args[0]+"-"+args[1], func(b *testing.B) {
			var out output
			i := start(b, args[0], sandbox.Config{Args: args, Output: out.write})
			out.until(b, "s")
			for b.Loop() {
				if err := i.Pause(context.Background()); err != nil {
					b.Fatal(err)
				}
				if err := i.Continue(); err != nil {
					b.Fatal(err)
				}
			}
			i.Close()
		})
	}
}

// BenchmarkStart starts a program that is compiled, and waits for its first
// line.
func BenchmarkStart(b *testing.B) {
	code := guest(b, "idle")
	first := make(chan struct{}, 1)
	for b.Loop() {
		i, err := code.New(sandbox.Config{Args: []string{"idle"}, Output: func([]byte) { first <- struct{}{} }})
		if err != nil {
			b.Fatal(err)
		}
		if err := i.Start(); err != nil {
			b.Fatal(err)
		}
		<-first
		b.StopTimer()
		i.Close()
		b.StartTimer()
	}
}

// BenchmarkWake wakes a program that waits, and rests or not, with a reply, and
// waits for its next request.
func BenchmarkWake(b *testing.B) {
	for what, patience := range map[string]time.Duration{"waiting": time.Hour, "resting": 0} {
		b.Run(what, func(b *testing.B) {
			calls := make(handler, 1)
			i, err := guest(b, "asks").New(sandbox.Config{Args: []string{"asks"}, Calls: calls})
			if err != nil {
				b.Fatal(err)
			}
			defer i.Close()
			i.SetPatience(patience)
			if err := i.Start(); err != nil {
				b.Fatal(err)
			}
			c := <-calls
			var took time.Duration
			for b.Loop() {
				if patience == 0 {
					rests(b, i)
				}
				began := time.Now()
				i.Reply(c.ID, make([]byte, 8))
				c = <-calls
				took += time.Since(began)
			}
			b.ReportMetric(float64(took.Nanoseconds())/1000/float64(b.N), "µs/wake")
		})
	}
}
