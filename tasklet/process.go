package tasklet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A process is a tasklet that this peer hosts, or hosted when it exited.
type process struct {
	host    *Host
	id      ID
	program string
	args    []string
	origin  string
	started time.Time
	out     *output

	moveID  moveID // of the move that brought it here
	arrived uint64 // the program's own call, if one, that asked for that move

	turn chan struct{} // holds a token while somebody moves, kills, suspends or records it
	over chan struct{} // closed when it is no longer here

	claim    Claim        // who has it
	silence  func()       // ends the announcement that it is here
	account  *account     // of its origin
	reserved atomic.Int64 // bytes charged to it
	settled  atomic.Bool
	last     tail // of the program's goroutine

	// Of whoever has the turn.
	book    ledger
	pages   *journal.Pages      // on disk, if there is a disk
	unsaved map[uint32]struct{} // pages that changed since the log was added to
	saved   *hosted             // what the disk has of it

	mu       sync.Mutex
	inst     *sandbox.Instance // nil while it is suspended
	code     *sandbox.Code
	trouble  error // why it could not be resumed
	moves    []Hop
	exit     *exit
	left     *departure
	exitedAt time.Time
	calls    map[uint64]call    // without answer, by the program's number
	abort    context.CancelFunc // of a move under way
	ends     map[channel.Name]channel.Endpoint
	ops      sync.WaitGroup
	own      sync.WaitGroup // moves that the program asked for
}

// A departure is where a tasklet went from here.
type departure struct {
	to  p2p.ID
	hop Hop
	at  time.Time
}

func (d *departure) forward(h *Host) *forward {
	return &forward{To: d.to.String(), Addrs: h.node.AddrsOf(d.to), Hop: d.hop}
}

func (h *Host) newProcess(id ID, program, origin string, args []string, started time.Time) *process {
	return &process{
		host: h, id: id, program: program, origin: origin, args: args, started: started,
		out:  newOutput(MaxUnread),
		turn: make(chan struct{}, 1), over: make(chan struct{}),
		unsaved: map[uint32]struct{}{},
		calls:   map[uint64]call{}, ends: map[channel.Name]channel.Endpoint{},
	}
}

// instantiate gives the process its sandbox.
func (p *process) instantiate(code *sandbox.Code) error {
	inst, err := code.New(p.config())
	if err != nil {
		return err
	}
	p.book = ledger{image: code.Program().Image()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code, p.inst = code, inst
	return nil
}

// live returns the sandbox that the tasklet runs in.
func (p *process) live() (*sandbox.Instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inst == nil {
		if p.trouble != nil {
			return nil, errors.Join(ErrSuspended, p.trouble)
		}
		return nil, ErrSuspended
	}
	return p.inst, nil
}

// attend waits for the program to end, in a goroutine of the host.
func (p *process) attend(inst *sandbox.Instance) {
	defer p.own.Wait()
	select {
	case <-p.over: // it moved away
		return
	case <-inst.Done():
	}
	status, err := inst.Exit()
	p.mu.Lock()
	if p.left != nil || p.inst != inst { // it moved away, or is suspended
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.finish(p.exitOf(status, err), !errors.Is(err, ErrClosed))

	// A move that was under way may still look at the memory.
	p.turn <- struct{}{}
	inst.Close()
	p.closePages()
	<-p.turn
	p.host.log.Info("tasklet exited", "tasklet", p.id, "status", status, "error", err)
}

// finish notes how the tasklet came to its end, on disk if it is to be known after
// a restart.
func (p *process) finish(e *exit, record bool) {
	p.mu.Lock()
	p.exit, p.exitedAt = e, time.Now()
	p.mu.Unlock()
	if record {
		p.host.saveExit(p, e)
	}
	p.leave()
}

// leave ends what the tasklet had here. What became of it has been recorded.
func (p *process) leave() {
	if p.silence != nil {
		p.silence()
	}
	p.settle()
	p.withdraw(false)
	p.leaveChannels()
	p.out.close()
	close(p.over)
}

func (p *process) leaveChannels() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end.Leave()
	}
	clear(p.ends)
}

// closePages closes the log of a tasklet that is no longer here. The caller has
// the turn.
func (p *process) closePages() {
	if p.pages != nil {
		p.pages.Close()
		p.pages = nil
	}
}

// kill ends the program, and a move that has not handed it over.
func (p *process) kill(ctx context.Context, why error) error {
	p.interrupt()
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	inst, err := p.live()
	if err != nil { // it is suspended
		p.finish(&exit{Status: -1, Failure: failureOf(why)}, true)
		p.closePages()
		return nil
	}
	inst.Kill(why)
	select {
	case <-p.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt ends a move that has not handed the tasklet over.
func (p *process) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.abort != nil {
		p.abort()
	}
}

// takeTurn waits until nobody else moves, suspends or kills the tasklet, and
// puts the token into p.turn, unless the tasklet is no longer here.
func (p *process) takeTurn(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-p.over:
		return p.gone()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := p.gone()
	if err != nil {
		<-p.turn
	}
	return err
}

// ended returns when the program exited, or zero.
func (p *process) ended() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exitedAt
}

// status returns how the tasklet exited or where it went; both nil: it is here.
func (p *process) status() (*exit, *departure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit, p.left
}

// gone returns an error if the tasklet is no longer here.
func (p *process) gone() error {
	switch exited, left := p.status(); {
	case exited != nil:
		return ErrExited
	case left != nil:
		return &movedError{*left}
	}
	return nil
}

// suspended reports whether the tasklet is here and does not run.
func (p *process) suspended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inst == nil && p.exit == nil && p.left == nil
}

// watch tells of all output from a position on, of being suspended and resumed,
// and last how the tasklet exited or where it went.
func (p *process) watch(ctx context.Context, from int64, tell func(event) error) error {
	told := Running
	for {
		// Asked before the state is looked at, so that no change is missed.
		changes := p.out.changes()
		if state := p.state(); state != told && (state == Running || state == Suspended) {
			if err := tell(event{State: state}); err != nil {
				return err
			}
			told = state
		}
		at, data, err := p.out.read(ctx, from, changes)
		if len(data) > 0 {
			if err := tell(event{Output: data, At: at}); err != nil {
				return err
			}
			from = at + int64(len(data))
			continue
		}
		switch exited, left := p.status(); {
		case ctx.Err() != nil:
			return err
		case err == nil: // something has changed
		case left != nil:
			return tell(event{Moved: left.forward(p.host)})
		default:
			return tell(event{Exited: exited})
		}
	}
}

// state returns what the tasklet does, here.
func (p *process) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.exit != nil:
		return Exited
	case p.left == nil && p.inst == nil:
		return Suspended
	case p.left == nil && p.abort != nil:
		return Moving
	}
	return Running
}

func (p *process) info() Info {
	i := Info{
		ID: p.id, Program: p.program, Args: p.args, Origin: p.origin, Host: p.host.node.ID().String(),
		State: p.state(), Started: p.started,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i.Moves = append(i.Moves, p.moves...)
	switch {
	case p.exit != nil:
		i.set(p.exit)
	case p.left != nil:
		i.Host = p.left.to.String()
	case p.trouble != nil:
		i.Error = p.trouble.Error()
	}
	return i
}

func (i *Info) set(e *exit) {
	i.State, i.Status = Exited, e.Status
	if e.Failure != nil {
		i.Error = e.Failure.err().Error()
	}
}
