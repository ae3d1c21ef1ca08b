package compiler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// The default limits.
const (
	// Slots is how many programs of others are compiled at a time: 2, or 1 if
	// this process has to do so itself.
	Slots = 2
	// ChildMemory is how many bytes of memory the process that compiles a program
	// may have: 1 GiB. A Go program of 4 MB needs a quarter of it.
	ChildMemory = 1 << 30
	// ChildTime is how long that process may take: a minute.
	ChildTime = time.Minute
	// OfOnePeer is how many bytes of memory those programs may have together that
	// one peer brought and that are in use: 1 GiB.
	OfOnePeer = 1 << 30
	// IdleBytes is how many bytes of memory programs may have together that nobody
	// uses: 256 MiB.
	IdleBytes = 256 << 20
	// IdleTime is how long a program stays in memory that nobody uses.
	IdleTime = 5 * time.Minute
	// FolderBytes is how many bytes the folder of compiled code may have: 1 GiB.
	FolderBytes = 1 << 30
)

// Options are the settings of a [Compiler]. Zero limits stand for the defaults.
type Options struct {
	// Dir is the folder of compiled code, which several may share. It must be safe
	// from other users: what is in it is run as machine code. Default: a folder
	// among the system's temporary ones, which Close removes.
	Dir string
	// Trusted has programs be loaded with [program.LoadTrusted].
	Trusted bool
	// Logger takes what an operator may want to know. Default: silence.
	Logger *slog.Logger

	Memory      uint64        // see ChildMemory
	Time        time.Duration // see ChildTime
	OfOnePeer   int64         // see there
	IdleBytes   int64
	IdleTime    time.Duration
	FolderBytes int64
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Memory = or(o.Memory, ChildMemory)
	o.Time = or(o.Time, slow*ChildTime)
	o.OfOnePeer = or(o.OfOnePeer, OfOnePeer)
	o.IdleBytes = or(o.IdleBytes, IdleBytes)
	o.IdleTime = or(o.IdleTime, IdleTime)
	o.FolderBytes = or(o.FolderBytes, FolderBytes)
}

// A Compiler compiles programs and keeps them. It is safe for concurrent use.
type Compiler struct {
	opts  Options
	queue *queue
	locks locks

	mu       sync.Mutex
	closed   bool
	dir      string           // "" until it is needed
	runtime  *sandbox.Runtime // nil until it is needed
	programs map[string]*entry
	inUse    map[string]int64 // bytes, by the peer that brought them
	idle     int64            // bytes that nobody uses

	trimming sync.Mutex
}

// New returns a compiler. Nil opts stand for the defaults.
func New(opts *Options) *Compiler {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.defaults()
	slots := 1
	if separate && callable.Load() {
		slots = Slots
	}
	return &Compiler{
		opts: o, queue: newQueue(slots), locks: locks{named: map[string]*lock{}},
		programs: map[string]*entry{}, inUse: map[string]int64{},
	}
}

// open makes the folder and the runtime, the first time. The lock is held.
func (c *Compiler) open() (err error) {
	switch {
	case c.closed:
		return ErrClosed
	case c.runtime != nil:
		return nil
	case c.opts.Dir == "":
		c.dir, err = os.MkdirTemp("", "dstackless-compiled-")
	default:
		c.dir, err = filepath.Abs(c.opts.Dir)
	}
	if err == nil {
		c.runtime, err = sandbox.NewRuntime(context.Background(), &sandbox.Options{CacheDir: c.dir})
	}
	if err == nil {
		c.dir, err = filepath.EvalSymlinks(c.dir)
	}
	if err != nil {
		return fmt.Errorf("compiler: the folder of compiled code: %w", err)
	}
	return nil
}

// Close frees all programs; none may be in use any more.
func (c *Compiler) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for _, e := range c.programs {
		e.stopTimer()
		errs = append(errs, e.code.Close())
	}
	clear(c.programs)
	if c.runtime != nil {
		errs = append(errs, c.runtime.Close())
	}
	if c.opts.Dir == "" && c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Get returns the program of that name, for an instance of which the peer pays
// that brings it, or nobody if peer is "". If it is neither in memory nor in the
// folder of compiled code, it is loaded and compiled: by a process of its own, if
// another peer brings it and this executable calls [RunChild], in which case ctx
// ends it. Fetch gets the module. It is called for one program at a time of those
// that a peer brings, so that no peer has many modules in memory, and once more
// when the program's turn to be compiled has come.
//
// # Errors
//
// What fetch returned; a [*LimitError]; a program.UnsupportedError if the module
// is none that can be loaded; [ErrClosed].
func (c *Compiler) Get(ctx context.Context, name, peer string, fetch func(context.Context) ([]byte, error)) (*Program, error) {
	if p, err := c.use(name, peer); p != nil || err != nil {
		return p, err
	}
	fetching := "what " + peer + " brings"
	if peer == "" {
		fetching = "own " + name
	}
	unlock, err := c.locks.lock(ctx, fetching)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if p, err := c.use(name, peer); p != nil || err != nil {
		return p, err
	}
	wasm, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	err = c.open()
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	file := nameOf(wasm, c.opts.Trusted)
	load := func() (*sandbox.Code, int64, error) { return open(ctx, c.runtime, c.dir, file) }
	p, err := c.add(ctx, name, peer, load)
	if !errors.Is(err, sandbox.ErrNotCompiled) {
		return p, err
	}
	if peer != "" {
		wasm = nil // it may be long
		if err := c.queue.enter(ctx, peer); err != nil {
			return nil, err
		}
		defer c.queue.leave(peer)
		if wasm, err = fetch(ctx); err != nil {
			return nil, err
		}
	}
	return c.add(ctx, name, peer, func() (*sandbox.Code, int64, error) {
		if code, size, err := load(); err == nil { // another peer brought it, too
			return code, size, nil
		}
		if err := c.build(ctx, wasm, peer); err != nil {
			return nil, 0, err
		}
		return load()
	})
}

// build puts a module into the folder of compiled code.
func (c *Compiler) build(ctx context.Context, wasm []byte, peer string) error {
	began := time.Now()
	alone := peer != "" && separate && callable.Load()
	err := inFolder(c.dir, func(work string) error {
		if alone {
			return c.run(ctx, wasm, c.dir, work)
		}
		return build(ctx, wasm, c.opts.Trusted, c.dir, work)
	})
	if err != nil {
		return err
	}
	c.opts.Logger.Debug("a program was compiled", "bytes", len(wasm), "by a process of its own", alone, "time", time.Since(began))
	c.trimming.Lock()
	defer c.trimming.Unlock()
	if err := trim(c.dir, c.opts.FolderBytes, time.Now()); err != nil {
		c.opts.Logger.Warn("the folder of compiled code could not be brought below its limit", "error", err)
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	if v == *new(T) {
		return otherwise
	}
	return v
}
