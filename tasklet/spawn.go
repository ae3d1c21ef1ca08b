package tasklet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A compiled is a program that this host has run. It stays compiled.
type compiled struct {
	mu   sync.Mutex // held while it is being fetched and compiled
	code *sandbox.Code
}

// Spawn starts a program on this peer, as a tasklet. Wasm is an ordinary Go
// program, built with GOOS=wasip1 GOARCH=wasm; args are its arguments, without
// the program's name. When ctx ends before the program runs, it is not started.
//
// The error wraps [ErrProgram], and says what was expected, if wasm is not such
// a program.
func (h *Host) Spawn(ctx context.Context, wasm []byte, args ...string) (*Tasklet, error) {
	t, err := h.spawn(ctx, wasm, append([]string{"program"}, args...))
	if err != nil {
		return nil, fmt.Errorf("tasklet: spawn: %w", err)
	}
	return t, nil
}

func (h *Host) spawn(ctx context.Context, wasm []byte, args []string) (*Tasklet, error) {
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	sum := sha256.Sum256(wasm)
	h.mu.Lock()
	id := h.spawned[sum]
	h.mu.Unlock()
	if id == "" {
		var err error
		if id, err = h.introduce(ctx, wasm); err != nil {
			return nil, err
		}
		h.mu.Lock()
		h.spawned[sum] = id
		h.mu.Unlock()
	}
	return h.begin(ctx, work{program: id, args: args}, nil)
}

// introduce checks, stores and compiles a program, and returns its CID.
func (h *Host) introduce(ctx context.Context, wasm []byte) (id string, err error) {
	prog, err := h.read(wasm)
	if err != nil {
		return "", err
	}
	c, err := h.store.Add(ctx, wasm)
	if err != nil {
		return "", err
	}
	_, err = h.compile(ctx, c.String(), func() (*program.Program, error) { return prog, nil })
	return c.String(), err
}

// Go starts a function on this peer, as a tasklet. The peer must have the
// function in its [Options.Functions]. The state is copied. When ctx ends before
// the function runs, it is not started.
func (h *Host) Go(ctx context.Context, c Call) (*Tasklet, error) {
	t, err := h.call(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("tasklet: go: %w", err)
	}
	return t, nil
}

func (h *Host) call(ctx context.Context, c Call) (*Tasklet, error) {
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	d := c.function
	if _, err := h.defined(d.function, d.shape); err != nil {
		return nil, err
	}
	data, err := d.encode(c.state)
	if err != nil {
		return nil, err
	}
	return h.begin(ctx, d.work, data)
}

// begin starts a tasklet, which is a function's if it has a state.
func (h *Host) begin(ctx context.Context, w work, state []byte) (*Tasklet, error) {
	if h.drained() {
		return nil, ErrDraining
	}
	claim := newClaim(h.self)
	p := h.newProcess(claim.id(), w, claim.Origin, time.Now().Round(0))
	p.claim, p.key = *claim, newKey()
	h.mu.Lock()
	p.enter()
	h.mu.Unlock()
	s := &hosted{Standing: running, Cont: *p.outline()}
	if w.function != "" {
		s.Cont.Function.State = state
	}
	if err := p.engine.load(ctx, s); err != nil {
		p.settle()
		return nil, err
	}
	r := &record{
		host: h, id: p.id, work: p.work, key: p.key, started: p.started,
		out: newOutput(MaxOutput), where: h.node.ID(), reachable: true,
	}
	if err := p.born(ctx, s, r); err != nil {
		p.settle()
		p.engine.unload()
		return nil, err
	}
	p.out.listen(r.wake)
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		p.engine.unload() // with a disk, it starts when the host does
		return nil, ErrClosed
	}
	h.processes[p.id] = p
	h.started[p.id] = r
	h.mu.Unlock()
	if err := p.launch(); err != nil {
		p.engine.unload()
		return nil, err
	}
	h.log.Info("tasklet started", "tasklet", p.id, "program", w.program+w.function)
	return &Tasklet{id: p.id, host: h}, nil
}

// born records a tasklet that is about to start, unless ctx has ended.
func (p *process) born(ctx context.Context, s *hosted, r *record) error {
	if err := ctx.Err(); err != nil || p.host.disk == nil {
		return err
	}
	if err := r.keepOutput(); err != nil {
		return err
	}
	return p.saveHosted(s, r.save)
}

// compile returns the code of the program with that CID, which load loads if
// it has not run here yet.
func (h *Host) compile(ctx context.Context, id string, load func() (*program.Program, error)) (*sandbox.Code, error) {
	h.mu.Lock()
	c := h.programs[id]
	if c == nil {
		c = &compiled{}
		h.programs[id] = c
	}
	h.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code != nil {
		return c.code, nil
	}
	prog, err := load()
	if err != nil {
		return nil, err
	}
	c.code, err = h.runtime.Compile(ctx, prog)
	return c.code, err
}

// fetchTimeout bounds the time to get a program from another peer.
const fetchTimeout = 5 * time.Minute

// fetch returns the code of the program with that CID, from the peer from or
// from any other that has it. One that does not come from this peer itself may
// have program.MaxForeignModule bytes.
func (h *Host) fetch(ctx context.Context, id string, from p2p.ID) (*sandbox.Code, error) {
	c, err := cid.Decode(id)
	if err != nil {
		return nil, fmt.Errorf("%w: program: %w", ErrContinuation, err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	limit := int64(program.MaxForeignModule)
	if from == h.node.ID() {
		limit = program.MaxModule
	}
	return h.compile(ctx, c.String(), func() (*program.Program, error) {
		wasm, err := h.store.Get(ctx, c, limit, from)
		if errors.Is(err, content.ErrTooLarge) {
			return nil, fmt.Errorf("%w: a program that another peer brings may have %d bytes: %w", ErrProgram, limit, err)
		}
		if err != nil {
			return nil, err
		}
		return h.read(wasm)
	})
}

// read loads a program in the form in which this host runs it.
func (h *Host) read(wasm []byte) (*program.Program, error) {
	load := program.Load
	if h.opts.TrustLoops {
		load = program.LoadTrusted
	}
	prog, err := load(wasm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	return prog, nil
}
