package compiler

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// build loads and compiles a module in this process, and puts what came of it
// into the folder of compiled code dir. Trusted is for [program.LoadTrusted].
// Work is an empty folder in dir, for this one call.
func build(ctx context.Context, wasm []byte, trusted bool, dir, work string) error {
	load := program.Load
	if trusted {
		load = program.LoadTrusted
	}
	p, err := load(wasm)
	if err != nil {
		return err
	}
	if err := compile(ctx, p, work); err != nil {
		return err
	}
	if err := save(p, work, nameOf(wasm, trusted)); err != nil {
		return err
	}
	return publish(work, dir)
}

// compile leaves the machine code of p in dir.
func compile(ctx context.Context, p *program.Program, dir string) error {
	runtime, err := sandbox.NewRuntime(ctx, &sandbox.Options{CacheDir: dir})
	if err != nil {
		return err
	}
	code, err := runtime.Compile(ctx, p)
	if err == nil {
		err = code.Close()
	}
	return errors.Join(err, runtime.Close())
}

// publish moves the files in the folder from to their places in dir.
func publish(from, dir string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		return os.Rename(path, to)
	})
}

// Precompile puts a module that this process can trust into the folder of compiled
// code dir, where a [Compiler] of the same version finds it.
func Precompile(ctx context.Context, wasm []byte, dir string) error {
	return inFolder(dir, func(work string) error { return build(ctx, wasm, false, dir, work) })
}

// inFolder calls f with an empty folder in dir, and removes it.
func inFolder(dir string, f func(work string) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, workPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	return f(work)
}

// workPrefix begins the names of folders in which something is being made.
const workPrefix = "making-"
