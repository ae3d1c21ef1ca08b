package tasklet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/internal/output"
)

const (
	// MaxUnread is how much output a host keeps for the peer that started a
	// tasklet and cannot be reached: 4 MiB. What is older is lost.
	MaxUnread = 4 << 20
	// MaxOutput is how much of a tasklet's output the peer that started it
	// keeps: 64 MiB. What is older is lost.
	MaxOutput = 64 << 20
)

// A process is a tasklet that this peer hosts, or hosted when it exited.
type process struct {
	host *Host
	id   ID
	*spec
	origin  string
	source  string // the peer that brought it here; none if it was started here
	started time.Time
	out     *output.Buffer

	engine engine // what runs it

	moveID moveID // of the move that brought it here

	opLock chan struct{} // holds a token while somebody moves, kills, suspends or records it
	over   onceSignal    // closed when it is no longer here

	claim          Claim      // who has it; changed with opLock and mu
	key            Key        // who may do what with it
	stopAnnouncing func()     // ends the announcement that it is here
	accounts       []*account // of those who pay for it
	bill           bill       // what they are charged for it

	saved *checkpointEntry // what the disk has of it; guarded by opLock

	mu        sync.Mutex
	awake     bool   // it is in its engine, and not suspended
	resumeErr error  // why it could not be resumed
	notSaved  string // why its last recording failed, if it did
	moves     []Hop
	exit      *exit
	left      *departure
	stale     error              // why it is an old copy, of one that was ended
	exitedAt  time.Duration      // uptime
	abort     context.CancelFunc // of a move under way
}

// A departure is where a tasklet went from here.
type departure struct {
	to  p2p.ID
	hop Hop
	at  time.Duration // uptime
}

func (d *departure) forward(h *Host) *forward {
	return &forward{To: d.to.String(), Addrs: h.node.AddrsOf(d.to), Hop: d.hop}
}

func (h *Host) newProcess(id ID, w spec, origin string, started time.Time) *process {
	p := &process{
		host: h, id: id, spec: h.sharedSpec(w), origin: origin, started: started,
		out:    output.New(MaxUnread),
		opLock: make(chan struct{}, 1),
	}
	if w.function != "" {
		p.engine = &routine{process: p}
	} else {
		p.engine = newGuest(p)
	}
	return p
}

// live returns an error if the tasklet is suspended.
func (p *process) live() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awake {
		return nil
	}
	return errors.Join(ErrSuspended, p.resumeErr)
}

// finish notes how the tasklet came to its end, on disk if it is to be known after
// a restart.
func (p *process) finish(e *exit, record bool) {
	p.mu.Lock()
	p.exit, p.exitedAt = e, p.host.uptime()
	p.mu.Unlock()
	if record {
		p.host.saveExit(p, e)
	}
	p.leave()
	p.host.retire(p)
}

// leave ends what the tasklet had here. What became of it has been recorded.
func (p *process) leave() {
	if p.stopAnnouncing != nil {
		p.stopAnnouncing()
	}
	p.release()
	p.engine.withdraw(false)
	p.out.Close()
	p.over.close()
}

// kill ends the program, and a move that has not handed it over.
func (p *process) kill(ctx context.Context, why error) error {
	p.interrupt()
	if err := p.lockOp(ctx); err != nil {
		return err
	}
	defer func() { <-p.opLock }()
	if p.live() != nil {
		p.finish(&exit{Status: -1, Failure: failureOf(why)}, true)
		return nil
	}
	p.engine.kill(why)
	select {
	case <-p.over.done():
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

// lockOp waits until nobody else moves, suspends or kills the tasklet, and
// puts the token into p.turn, unless the tasklet is no longer here.
func (p *process) lockOp(ctx context.Context) error {
	select {
	case p.opLock <- struct{}{}:
	case <-p.over.done():
		return p.gone()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := p.gone()
	if err != nil {
		<-p.opLock
	}
	return err
}

// exitedBefore reports whether the tasklet ended so long ago.
func (p *process) exitedBefore(age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit != nil && p.host.older(p.exitedAt, age)
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
	return !p.awake && p.exit == nil && p.left == nil
}

// state returns what the tasklet does, here.
func (p *process) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.exit != nil:
		return Exited
	case p.stale != nil:
		return Stale
	case p.left == nil && !p.awake:
		return Suspended
	case p.left == nil && p.abort != nil:
		return Moving
	}
	return Running
}

func (p *process) info() Info {
	i := Info{
		ID: p.id, Program: p.program, Args: p.args, Function: p.function, Origin: p.origin, Host: p.host.self,
		State: p.state(), Started: p.started,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i.Moves = append(i.Moves, p.moves...)
	switch {
	case p.exit != nil:
		i.set(p.exit)
	case p.stale != nil:
		i.Host, i.Error = p.left.to.String(), publicText(p.stale)
	case p.left != nil:
		i.Host = p.left.to.String()
	case p.resumeErr != nil:
		i.Error, i.Limit = publicText(p.resumeErr), LimitOf(p.resumeErr)
	}
	if p.exit == nil && p.left == nil {
		i.NotSaved = p.notSaved
	}
	return i
}

func (i *Info) set(e *exit) {
	i.State, i.Status = Exited, e.Status
	if e.Failure != nil {
		err := e.Failure.err()
		i.Error, i.Limit = err.Error(), LimitOf(err)
	}
}

// outline returns the part of a continuation that each tasklet has.
func (p *process) outline() *Continuation {
	c := &Continuation{Version: Version, ID: p.id, Program: p.program, Origin: p.origin, Started: p.started, Key: p.key}
	c.State.Args = p.args
	if p.function != "" {
		c.Function = &FunctionState{Name: p.function, Shape: p.shape}
	}
	p.mu.Lock()
	c.Claim, c.Moves = p.claim, append(c.Moves, p.moves...)
	p.mu.Unlock()
	c.UnreadAt, c.Unread = p.out.Tail()
	return c
}
