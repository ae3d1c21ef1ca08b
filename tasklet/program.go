package tasklet

import (
	"context"
	"errors"
	"sync"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A guest is the engine of a program: a sandbox, and what it has around it.
type guest struct {
	*process
	selfMoveCall uint64 // the program's own call, if one, that asked for the move that brought it here
	last         tail   // of the program's goroutine

	// Guarded by opLock.
	table   pageTable
	pageLog *journal.Pages      // on disk, if there is a disk
	unsaved map[uint32]struct{} // pages that changed since the log was added to

	// Guarded by the process's mutex.
	inst     *sandbox.Instance // nil while it is suspended
	code     *compiler.Program // that inst is made of
	calls    map[uint64]call   // without answer, by the program's number
	requests int               // of them
	looking  chan struct{}     // holds a token while a peer is looked for that the program named
	space    channel.Space     // of its channels
	ends     map[channel.Name]channel.Endpoint
	ops      sync.WaitGroup
	own      sync.WaitGroup // moves that the program asked for
}

func newGuest(p *process) *guest {
	return &guest{
		process: p, space: p.host.programSpace(), looking: make(chan struct{}, 1), unsaved: map[uint32]struct{}{},
		calls: map[uint64]call{}, ends: map[channel.Name]channel.Endpoint{},
	}
}

// instantiate gives the process its sandbox.
func (g *guest) instantiate(prog *compiler.Program) error {
	inst, err := prog.Code().New(g.config())
	if err != nil {
		return err
	}
	g.table = pageTable{image: prog.Code().Image()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.code, g.inst, g.awake = prog.Share(), inst, true
	return nil
}

// sandbox returns the sandbox that the tasklet runs in, or nil.
func (g *guest) sandbox() *sandbox.Instance {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inst
}

func (g *guest) load(ctx context.Context, s *checkpointEntry) error {
	payer := g.origin
	if payer != g.host.self && g.source != "" {
		payer = g.source
	}
	from, err := p2p.ParseID(payer)
	if err != nil {
		return err
	}
	prog, err := g.host.fetch(ctx, g.program, from)
	if err != nil {
		return err
	}
	defer prog.Release()
	if err := g.instantiate(prog); err != nil || s.Pages == "" {
		return err
	}
	size := s.Cont.Memory.Size
	if err := g.inst.Grow(uint32(size / program.PageSize)); err != nil {
		return err
	}
	memory := g.inst.Memory()
	g.table.resize(uint64(len(memory)))
	g.pageLog, err = g.host.disk.Open(s.Pages, s.Length, uint32(len(memory)/pageSize), func(i uint32, hash pageHash, page []byte) error {
		copy(memory[int(i)*pageSize:], page)
		g.table.set(i, hash)
		return nil
	})
	if err != nil {
		return err
	}
	g.selfMoveCall = s.Cont.Mover
	return g.inst.Adopt(s.Cont.State)
}

func (g *guest) launch() error {
	inst := g.inst
	g.host.wg.Go(func() { g.attend(inst) })
	err := inst.Continue()
	if errors.Is(err, sandbox.ErrState) { // nothing was restored
		err = inst.Start()
	}
	if err != nil {
		inst.Kill(err)
	}
	return err
}

// attend waits for the program to end, in a goroutine of the host.
func (g *guest) attend(inst *sandbox.Instance) {
	defer g.own.Wait()
	select {
	case <-g.over.done(): // it moved away
		return
	case <-inst.Done():
	}
	status, err := inst.Exit()
	g.mu.Lock()
	if g.left != nil || g.inst != inst { // it moved away, or is suspended
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	g.finish(g.exitOf(status, err), !errors.Is(err, ErrClosed))

	// A move that was under way may still look at the memory.
	g.opLock <- struct{}{}
	g.unload()
	<-g.opLock
	g.host.log.Info("tasklet exited", "tasklet", g.id, "status", status, "error", err)
}

func (g *guest) unload() error {
	g.mu.Lock()
	inst, code := g.inst, g.code
	g.inst, g.code, g.awake = nil, nil, false
	g.mu.Unlock()
	g.leaveChannels()
	g.closePages()
	g.table = pageTable{}
	if inst == nil {
		return nil
	}
	defer code.Release()
	return inst.Close()
}

// closePages closes the log of the tasklet's memory.
func (g *guest) closePages() {
	if g.pageLog != nil {
		g.pageLog.Close()
		g.pageLog = nil
	}
}

func (g *guest) leaveChannels() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, end := range g.ends {
		end.Leave()
	}
	g.countChannels(-len(g.ends))
	clear(g.ends)
}

// pause gives the program a while to come to a safe point.
func (g *guest) pause(ctx context.Context) error {
	pausing, cancel := context.WithTimeout(ctx, freezeTimeout)
	defer cancel()
	return g.inst.Pause(pausing)
}

func (g *guest) sync(s *checkpointEntry) (err error) {
	if s.Length, err = g.pageLog.Sync(); err != nil {
		g.dropLog()
	}
	return err
}

func (g *guest) proceed() error { return g.inst.Proceed() }

func (g *guest) goOn() error { return g.inst.Continue() }

func (g *guest) kill(why error) {
	if inst := g.sandbox(); inst != nil {
		inst.Kill(why)
	}
}
