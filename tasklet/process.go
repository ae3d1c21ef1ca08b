package tasklet

import (
	"context"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
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
	code    *sandbox.Code
	inst    *sandbox.Instance
	out     *output

	moveID  moveID // of the move that brought it here
	arrived uint64 // the program's own call, if one, that asked for that move

	turn chan struct{} // holds a token while the tasklet is being moved or killed
	over chan struct{} // closed when it is no longer here

	mu       sync.Mutex
	moves    []Hop
	exit     *exit
	left     *departure
	exitedAt time.Time
	calls    map[uint64]call    // without answer, by the program's number
	abort    context.CancelFunc // of a move under way
	ends     map[channel.Name]channel.Endpoint
	ops      sync.WaitGroup
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
		calls: map[uint64]call{}, ends: map[channel.Name]channel.Endpoint{},
	}
}

// instantiate gives the process its sandbox.
func (p *process) instantiate(code *sandbox.Code) (err error) {
	p.code = code
	p.inst, err = code.New(sandbox.Config{
		Args: p.args, MemoryLimit: p.host.opts.MemoryLimit, Output: p.out.write, Calls: p,
	})
	return err
}

// attend waits for the program to end, in a goroutine of the host.
func (p *process) attend() {
	select {
	case <-p.over: // it moved away
		return
	case <-p.inst.Done():
	}
	if p.gone() != nil {
		return
	}
	status, err := p.inst.Exit()
	p.mu.Lock()
	p.exit = &exit{Status: status, Failure: failureOf(err)}
	p.exitedAt = time.Now()
	p.mu.Unlock()
	p.leave()
	p.inst.Close()
	p.host.log.Info("tasklet exited", "tasklet", p.id, "status", status, "error", err)
}

// leave ends what the tasklet had here. What became of it has been recorded.
func (p *process) leave() {
	p.withdraw()
	p.mu.Lock()
	for _, end := range p.ends {
		end.Leave()
	}
	clear(p.ends)
	p.mu.Unlock()
	p.out.close()
	close(p.over)
}

// close ends the process because the host is shut down.
func (p *process) close() {
	p.inst.Kill(ErrClosed)
}

// kill ends the program, and a move that has not handed it over.
func (p *process) kill(ctx context.Context) error {
	p.mu.Lock()
	if p.abort != nil {
		p.abort()
	}
	p.mu.Unlock()
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	p.inst.Kill(ErrKilled)
	select {
	case <-p.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeTurn waits until nobody else moves or kills the tasklet, and puts the
// token into p.turn, unless the tasklet is no longer here.
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

// watch tells of all output from a position on, and last how the tasklet
// exited or where it went.
func (p *process) watch(ctx context.Context, from int64, tell func(event) error) error {
	for {
		at, data, err := p.out.read(ctx, from, true)
		if len(data) > 0 {
			if err := tell(event{Output: data, At: at}); err != nil {
				return err
			}
			from = at + int64(len(data))
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		exited, left := p.status()
		if left != nil {
			return tell(event{Moved: left.forward(p.host)})
		}
		return tell(event{Exited: exited})
	}
}

func (p *process) info() Info {
	i := Info{
		ID: p.id, Program: p.program, Args: p.args, Origin: p.origin, Host: p.host.node.ID().String(),
		State: Running, Started: p.started,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i.Moves = append(i.Moves, p.moves...)
	switch {
	case p.exit != nil:
		i.set(p.exit)
	case p.left != nil:
		i.Host = p.left.to.String()
	case len(p.turn) > 0:
		i.State = Moving
	}
	return i
}

func (i *Info) set(e *exit) {
	i.State, i.Status = Exited, e.Status
	if e.Failure != nil {
		i.Error = e.Failure.Text
	}
}
