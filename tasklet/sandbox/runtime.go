package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/dstackless/dstackless/tasklet/program"
)

// Options are the settings of a [Runtime]. A nil *Options is valid.
type Options struct {
	// CacheDir is a folder that keeps compiled programs from one run of the
	// process to the next. It must be safe from other users: what is in it
	// is run as machine code. The default, "", keeps them in memory.
	CacheDir string
}

// A Runtime compiles programs and holds what all their instances share. It is
// safe for concurrent use.
type Runtime struct {
	engine wazero.Runtime
	cache  wazero.CompilationCache

	processors processors
}

// NewRuntime returns a runtime. It fails if opts.CacheDir cannot be used.
func NewRuntime(ctx context.Context, opts *Options) (*Runtime, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	r := &Runtime{processors: newProcessors()}
	config := wazero.NewRuntimeConfig()
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("sandbox: compilation cache: %w", err)
		}
		r.cache = cache
		config = config.WithCompilationCache(cache)
	}
	r.engine = wazero.NewRuntimeWithConfig(ctx, config)
	if err := exportHost(ctx, r.engine); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close frees the runtime. All its instances must be closed before.
func (r *Runtime) Close() error {
	ctx := context.Background()
	err := r.engine.Close(ctx)
	if r.cache != nil {
		if e := r.cache.Close(ctx); err == nil {
			err = e
		}
	}
	return err
}

// Compile turns p into machine code, which takes about a second of processor
// time unless it is in the cache. The code is shared by all instances.
//
// The error names the first function that p wants of its host and that there
// is none of.
func (r *Runtime) Compile(ctx context.Context, p *program.Program) (*Code, error) {
	return r.compile(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), p)
}

// ErrNotCompiled says that the cache does not have the code of a program.
var ErrNotCompiled = errors.New("sandbox: the program is not in the cache of compiled code")

// Load is like Compile for a program whose code is in the cache. It never
// compiles: its error wraps [ErrNotCompiled] if the code is not there.
func (r *Runtime) Load(ctx context.Context, p *program.Program) (*Code, error) {
	// The workers look whether their context has ended before they compile
	// anything; what is found in the cache is not their business.
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(ErrNotCompiled)
	return r.compile(experimental.WithCompilationWorkers(ctx, 2), p)
}

func (r *Runtime) compile(ctx context.Context, p *program.Program) (*Code, error) {
	for _, imp := range p.Imports() {
		if !provided(imp) {
			return nil, fmt.Errorf("sandbox: the program imports %q from %q, which no sandbox has", imp.Name, imp.Module)
		}
	}
	module, err := r.engine.CompileModule(ctx, p.Code())
	if err != nil {
		return nil, fmt.Errorf("sandbox: compile: %w", err)
	}
	image, err := newImage(p.Image())
	if err != nil {
		module.Close(ctx)
		return nil, fmt.Errorf("sandbox: image: %w", err)
	}
	return &Code{engine: r.engine, module: module, pages: p.Pages(), image: image, processors: r.processors, newMemory: newMemory}, nil
}
