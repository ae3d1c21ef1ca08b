package tasklet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// An arrival is one attempt of another peer to move a tasklet here.
type arrival struct {
	host    *Host
	conn    *conn // nil after a restart
	offer   offer
	from    p2p.ID
	process *process

	ctx    context.Context // ends when the source begins again, or the host is closed
	cancel context.CancelFunc
	done   chan struct{} // closed when the attempt is over
	listed bool          // a list of pages has come
	taken  time.Time     // when the tasklet's clock was read, as far as the source tells
	stored int64         // records of the log that are on disk for certain
	pages  int64         // that were listed, each as often as it was

	unpacker unpacker

	// With the host's lock.
	prepared bool
	since    time.Time // when it was
	asked    error     // what came of asking the source
	forced   chan bool // takes the operator's decision
}

// arrive serves an offer: see depart for the steps.
func (h *Host) arrive(c *conn, o *offer) error {
	a := &arrival{host: h, conn: c, offer: *o, from: c.peer()}
	if err := h.admit(a); err != nil {
		c.fail(err)
		return err
	}
	defer a.leave()
	defer context.AfterFunc(a.ctx, func() { c.stream.Reset() })()
	err := a.process.engine.take(a)
	if err != nil {
		c.fail(err)
		a.process.engine.keep(a)
		return err
	}
	h.reached("arrived")
	commit, err := a.await()
	if !commit {
		a.process.engine.keep(a)
		return fmt.Errorf("the source kept the tasklet: %w", err)
	}
	if err := a.run(); err != nil {
		c.fail(err)
		return err
	}
	h.reached("running")
	return c.send(tagRunning, nil)
}

// enlist makes the arrival the one that the host knows. The lock is held.
func (a *arrival) enlist() {
	a.ctx, a.cancel = context.WithCancel(a.host.ctx)
	a.done = make(chan struct{})
	a.forced = make(chan bool, 1)
	a.host.arriving[a.offer.ID] = a
}

// leave ends the attempt.
func (a *arrival) leave() {
	a.cancel()
	a.host.mu.Lock()
	if a.host.arriving[a.offer.ID] == a {
		delete(a.host.arriving, a.offer.ID)
	}
	a.host.mu.Unlock()
	close(a.done)
}

// guest is the engine of a program that arrives.
func (a *arrival) guest() *guest { return a.process.engine.(*guest) }

// stored is how many pages are brought to disk at a time while more of them come,
// 16 MiB, and at the end of a round a quarter.
const stored = 4096

// restore takes over a continuation. Nothing runs yet.
func (a *arrival) restore(c *Continuation) error {
	p := a.guest()
	if err := a.agrees(c); err != nil {
		return err
	}
	if err := a.receive(&c.Memory); err != nil {
		return err
	}
	if err := a.adopt(c); err != nil {
		return err
	}
	c.State.Wall = a.host.wall().UnixNano() // what passes from now on is known here
	p.args, p.arrived = c.State.Args, c.Mover
	return p.inst.Adopt(c.State)
}

// adopt takes over what a continuation says of any tasklet.
func (a *arrival) adopt(c *Continuation) error {
	p := a.process
	p.started, p.moves, p.moveID, p.claim, p.key = c.Started, c.Moves, a.offer.Move, c.Claim, c.Key
	p.out.base, p.out.data = c.UnreadAt, c.Unread
	return p.holdOutput()
}

var (
	errForced = errors.New("the operator has decided")
	errAgain  = errors.New("the source has begun again")
)
