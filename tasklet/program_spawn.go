package tasklet

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/content"
	"github.com/dstackless/dstackless/tasklet/internal/output"
)

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
	prog, id, err := h.introduce(ctx, wasm)
	if err != nil {
		return nil, err
	}
	defer prog.Release()
	return h.begin(ctx, spec{program: id, args: args}, nil)
}

// introduce checks, compiles and stores a program, unless that has been done. It
// returns the program, which is in use until it is released, and its CID.
func (h *Host) introduce(ctx context.Context, wasm []byte) (prog *compiler.Program, id string, err error) {
	sum := sha256.Sum256(wasm)
	c, known := h.spawned.Get(sum)
	if !known {
		if c, err = content.CIDOf(wasm); err != nil {
			return nil, "", err
		}
	}
	prog, err = h.compiled(ctx, c.String(), "", func(context.Context) ([]byte, error) { return wasm, nil })
	if err != nil {
		return nil, "", err
	}
	if known { // the store may have removed it meanwhile
		known, err = h.store.Has(ctx, c)
	}
	if err == nil && !known {
		_, err = h.store.Add(ctx, wasm)
	}
	if err != nil {
		prog.Release()
		return nil, "", err
	}
	h.spawned.Add(sum, c)
	return prog, c.String(), nil
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
	return h.begin(ctx, d.spec, data)
}

// begin starts a tasklet, which is a function's if it has a state.
func (h *Host) begin(ctx context.Context, w spec, state []byte) (*Tasklet, error) {
	if h.drained() {
		return nil, ErrDraining
	}
	claim := newClaim(h.self)
	p := h.newProcess(claim.id(), w, claim.Origin, time.Now().Round(0))
	p.claim, p.key = *claim, newKey()
	h.mu.Lock()
	p.charge()
	h.mu.Unlock()
	s := &checkpointEntry{Standing: running, Cont: *p.outline()}
	if w.function != "" {
		s.Cont.Function.State = state
	}
	if err := p.engine.load(ctx, s); err != nil {
		p.release()
		return nil, err
	}
	r := &originEntry{
		host: h, id: p.id, spec: p.spec, key: p.key, started: p.started,
		out: output.New(MaxOutput), where: h.node.ID(), reachable: true,
	}
	if err := p.born(ctx, s, r); err != nil {
		p.release()
		p.engine.unload()
		return nil, err
	}
	p.out.OnChange(r.startWatching)
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
func (p *process) born(ctx context.Context, s *checkpointEntry, r *originEntry) error {
	if err := ctx.Err(); err != nil || p.host.disk == nil {
		return err
	}
	if err := r.keepOutput(); err != nil {
		return err
	}
	return p.saveHosted(s, r.save)
}
