package tasklet

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/program"
)

// RunCompiler is for the first line of main, and of TestMain: before the program
// looks at its arguments, its environment or its standard input. It returns at
// once, unless the process was started as a compiler.
//
// Programs that other peers bring are loaded and compiled by a process of their
// own, which may have 1 GiB of memory and a minute, and is killed at either. It is
// this executable, started again, with no environment and no descriptors but its
// pipes. If main does not call RunCompiler the executable is never started: the
// host then compiles such programs itself, one at a time. What they may have is
// limited, but nothing stops the compilation of a function once it has begun, and
// its memory is the host's. The same is so on Windows; on systems other than Linux
// the process's memory has no limit.
func RunCompiler() { compiler.RunChild() }

// fetch returns the program with that CID, from the peer from, for whose account
// it is, or from any other that has it. One that does not come from this peer
// itself may have program.MaxForeignModule bytes.
func (h *Host) fetch(ctx context.Context, id string, from p2p.ID) (*compiler.Program, error) {
	c, err := cid.Decode(id)
	if err != nil {
		return nil, fmt.Errorf("%w: program: %w", ErrContinuation, err)
	}
	peer, limit := from.String(), int64(program.MaxForeignModule)
	if peer == h.self {
		peer, limit = "", program.MaxModule
	}
	return h.compiled(ctx, c.String(), peer, func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		wasm, err := h.store.Get(ctx, c, limit, from)
		if errors.Is(err, content.ErrTooLarge) {
			err = fmt.Errorf("%w: a program that another peer brings may have %d bytes: %w", ErrProgram, limit, err)
		}
		return wasm, err
	})
}

// compiled is [compiler.Compiler.Get] with the errors of this package.
func (h *Host) compiled(ctx context.Context, id, peer string, get func(context.Context) ([]byte, error)) (*compiler.Program, error) {
	prog, err := h.compiler.Get(ctx, id, peer, get)
	var unsupported *program.UnsupportedError
	var limit *compiler.LimitError
	switch {
	case errors.As(err, &unsupported):
		err = fmt.Errorf("%w: %w", ErrProgram, err)
	case errors.As(err, &limit):
		err = fmt.Errorf("program %s: %w", id, &LimitError{
			Limit: LimitName(limit.Limit), Peer: h.self, Of: limit.Peer, Max: limit.Max, Used: limit.Used, Asked: limit.Asked,
		})
	case errors.Is(err, compiler.ErrClosed):
		err = ErrClosed
	}
	return prog, err
}

// programsInUse returns the programs of the tasklets that are here or come, of
// those that were started here and are remembered, and those in memory that are in
// use for another reason.
func (h *Host) programsInUse() (all []cid.Cid) {
	in := map[string]bool{}
	for _, p := range h.compiler.Programs() {
		if p.Users > 0 {
			in[p.Name] = true
		}
	}
	h.mu.Lock()
	for _, p := range h.processes {
		if p.gone() == nil {
			in[p.program] = true
		}
	}
	for _, p := range h.partials {
		in[p.program] = true
	}
	for _, a := range h.incoming {
		in[a.offer.Program] = true
	}
	for _, r := range h.started {
		in[r.program] = true
	}
	h.mu.Unlock()
	for id := range in {
		if c, err := cid.Decode(id); err == nil { // else it is a function
			all = append(all, c)
		}
	}
	return all
}

// compiling returns the settings of the compiler.
func (o *Options) compiling() *compiler.Options {
	c := o.compiler
	c.Dir, c.Trusted, c.Logger = o.CacheDir, o.TrustLoops, o.Logger
	return &c
}
