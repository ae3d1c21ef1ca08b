package sandbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/dstackless/dstackless/tasklet/program"
)

// DefaultMemoryLimit is how much memory an instance may have when its Config
// does not say: 256 MiB.
const DefaultMemoryLimit = 256 << 20

// A Config is what one instance is given.
type Config struct {
	// Args are the program's arguments; the first is its name.
	Args []string

	// MemoryLimit is how much memory the program may have, in bytes, its
	// code excluded. The default is DefaultMemoryLimit, the maximum 4 GiB.
	// A program that wants more ends with Go's "out of memory" and exit
	// status 2, and Exit returns ErrMemory.
	//
	// A program that starts finds in its environment a GOMEMLIMIT that is
	// lower: of the memory beyond its own data it leaves a 16th and 4 MiB, or
	// half, if that is less. So its runtime collects garbage before the limit
	// is reached, and a program can keep some two thirds of its memory alive.
	// The runtime reads it once: a program that is carried on under another
	// limit goes by the one under which it was started.
	MemoryLimit uint64

	// Reserve, if set, is asked before the program's memory becomes size
	// bytes, also at the start, and refuses with an error, which Exit then
	// returns if the program dies of it. The guest's own goroutine calls it.
	Reserve func(size uint64) error

	// Hold, if set, is told how many bytes the requests of the program without
	// reply take, CallCost each with their payloads, and the replies that wait
	// to be read. If it refuses, so is the request; a reply that it refuses
	// ends the program, and a state an Adopt. It must not wait, nor use the
	// instance.
	Hold func(size uint64) error

	// CPULimit is how long the program may compute, in this and all earlier
	// instances, by this host's clock while it does not wait. The default is
	// no limit. A program that computes longer is ended with ErrCPU, within
	// a millisecond.
	CPULimit time.Duration

	// Output gets what the program writes to its standard output and error.
	// The guest's own goroutine calls it, and waits. It must not keep p, nor
	// call methods of the instance that wait. A guest that waits here counts as one
	// that computes, of which there are as many as processors at a time. By default
	// output is dropped.
	Output func(p []byte)

	// Wall tells the time of day, as the program sees it. The default is the
	// system's clock.
	Wall func() time.Time

	// Calls gets the program's requests. By default all are refused.
	Calls Handler
}

// Code is a compiled program. It is safe for concurrent use.
type Code struct {
	engine wazero.Runtime
	module wazero.CompiledModule
	pages  uint32 // of memory, at the start
	image  *image

	processors processors // of its runtime

	newMemory func(limit uint64) (*memory, error) // the best that the system has

	mu   sync.Mutex
	idle []*engine
}

// Image returns the memory contents with which the program starts, see
// [program.Program.Image]. They are valid until Close, and must not be changed.
func (c *Code) Image() []byte { return c.image.data }

// Close frees the code. All its instances must be closed before.
func (c *Code) Close() error {
	c.mu.Lock()
	for _, e := range c.idle {
		e.close()
	}
	c.idle = nil
	c.mu.Unlock()
	c.image.close()
	return c.module.Close(context.Background())
}

// New makes an instance with the memory that the program starts with. It does
// not run yet: see [Instance.Start] and [Instance.Adopt].
func (c *Code) New(cfg Config) (*Instance, error) {
	if cfg.MemoryLimit == 0 {
		cfg.MemoryLimit = DefaultMemoryLimit
	}
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	limit := min(cfg.MemoryLimit, 1<<32) / program.PageSize * program.PageSize
	if need := uint64(c.pages) * program.PageSize; need > limit {
		return nil, fmt.Errorf("%w: the program starts with %d bytes; its limit is %d", ErrMemory, need, cfg.MemoryLimit)
	}
	if cfg.Reserve != nil {
		if err := cfg.Reserve(uint64(c.pages) * program.PageSize); err != nil {
			return nil, fmt.Errorf("sandbox: instantiate: %w", err)
		}
	}
	mem, err := c.newMemory(limit)
	if err != nil {
		return nil, fmt.Errorf("sandbox: reserve %d bytes: %w", limit, err)
	}
	mem.grow(uint64(c.pages) * program.PageSize)
	if err := mem.load(c.image); err != nil {
		mem.free()
		return nil, fmt.Errorf("sandbox: instantiate: %w", err)
	}
	mem.reserve = cfg.Reserve
	i := &Instance{
		cfg: cfg, code: c, mem: mem, environ: environ(limit, c.image.data), patience: restAfter,
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), done: make(chan struct{}), calls: map[uint64]pending{},
	}
	i.ctx = context.WithValue(context.Background(), instanceKey{}, i)
	return i, nil
}
