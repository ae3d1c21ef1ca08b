package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// BenchmarkLoad checks and rewrites a program.
func BenchmarkLoad(b *testing.B) {
	guest(b, "mix")
	wasm, err := os.ReadFile(filepath.Join(workdir, "mix.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		if _, err := program.Load(wasm); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompile compiles a program with nothing in the cache.
func BenchmarkCompile(b *testing.B) {
	p := guest(b, "mix").Program()
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
	p := guest(b, "mix").Program()
	dir := b.TempDir()
	for b.Loop() {
		r, err := sandbox.NewRuntime(context.Background(), &sandbox.Options{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Compile(context.Background(), p); err != nil {
			b.Fatal(err)
		}
		r.Close()
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
