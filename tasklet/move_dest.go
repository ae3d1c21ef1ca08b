package tasklet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// An incomingMove is one attempt of another peer to move a tasklet here.
type incomingMove struct {
	host    *Host
	conn    *conn // nil after a restart
	offer   offer
	from    p2p.ID
	process *process

	ctx           context.Context // ends when the source begins again, or the host is closed
	cancel        context.CancelFunc
	done          chan struct{} // closed when the attempt is over
	listed        bool          // a list of pages has come
	clockReadAt   time.Time     // when the tasklet's clock was read, as far as the source tells
	syncedRecords int64         // records of the log that are on disk for certain
	listedPages   int64         // that were listed, each as often as it was

	unpacker unpacker

	// With the host's lock.
	prepared   bool
	preparedAt time.Time // when it was
	askErr     error     // what came of asking the source
	decision   chan bool // takes the operator's decision
}

// serveMove serves an offer: see move.go for the protocol.
func (h *Host) serveMove(c *conn, o *offer) error {
	a := &incomingMove{host: h, conn: c, offer: *o, from: c.peer()}
	if err := h.admit(a); err != nil {
		c.fail(err)
		return err
	}
	defer a.finish()
	defer context.AfterFunc(a.ctx, func() { c.stream.Reset() })()
	err := a.process.engine.receiveState(a)
	if err != nil {
		c.fail(err)
		a.process.engine.keepPartial(a)
		return err
	}
	h.testStep("arrived")
	commit, err := a.awaitCommit()
	if !commit {
		a.process.engine.keepPartial(a)
		return fmt.Errorf("the source kept the tasklet: %w", err)
	}
	if err := a.takeOver(); err != nil {
		c.fail(err)
		return err
	}
	h.testStep("running")
	return c.send(tagRunning, nil)
}

// register makes this attempt the one that the host knows of the tasklet. The
// host's lock is held.
func (a *incomingMove) register() {
	a.ctx, a.cancel = context.WithCancel(a.host.ctx)
	a.done = make(chan struct{})
	a.decision = make(chan bool, 1)
	a.host.incoming[a.offer.ID] = a
}

// finish ends the attempt, whether the tasklet came or not.
func (a *incomingMove) finish() {
	a.cancel()
	a.host.mu.Lock()
	if a.host.incoming[a.offer.ID] == a {
		delete(a.host.incoming, a.offer.ID)
	}
	a.host.mu.Unlock()
	close(a.done)
}

// program returns the engine of the process, which is that of a program.
func (a *incomingMove) program() *guest { return a.process.engine.(*guest) }

// adoptProgram fills the sandbox from the last list of pages and a continuation.
// Nothing runs yet.
func (a *incomingMove) adoptProgram(c *Continuation) error {
	p := a.program()
	if err := a.checkContinuation(c); err != nil {
		return err
	}
	if err := a.receivePages(&c.Memory); err != nil {
		return err
	}
	if err := a.adoptOutline(c); err != nil {
		return err
	}
	c.State.Wall = a.host.wall().UnixNano() // what passes from now on is known here
	p.args, p.selfMoveCall = c.State.Args, c.Mover
	return p.inst.Adopt(c.State)
}

// adoptOutline sets what a continuation says of every kind of tasklet.
func (a *incomingMove) adoptOutline(c *Continuation) error {
	p := a.process
	p.started, p.moves, p.moveID, p.claim, p.key = c.Started, c.Moves, a.offer.Move, c.Claim, c.Key
	p.out.Restore(c.UnreadAt, c.Unread)
	return p.holdOutput()
}

var (
	errDecided   = errors.New("the operator has decided")
	errRestarted = errors.New("the source has begun again")
)
