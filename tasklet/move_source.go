package tasklet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A moveID names one attempt to move a tasklet.
type moveID [16]byte

// A moveState is what the source of a move decided.
type moveState uint8

const (
	aborted   moveState = iota // the source keeps the tasklet; also: nothing is known of the move
	undecided                  // the move is under way
	committed                  // the source has given the tasklet up
)

// An outcome is what became of a move from here.
type outcome struct {
	state  moveState
	id     ID
	to     p2p.ID
	hop    Hop // as far as it was known when the tasklet was given up
	claim  Claim
	source string        // the peer that had brought the tasklet here
	at     time.Duration // uptime
	taken  time.Time     // when the tasklet's clock was read
}

const (
	// maxRounds is how often memory is sent while the tasklet still runs.
	maxRounds = 20
	// maxStalls is how many rounds may bring hardly less than the one before.
	maxStalls = 3
	// enough is how many bytes of new pages are few enough to stop at.
	enough = 256 << 10
	// freezeTimeout is how long a busy program may take to a safe point.
	freezeTimeout = 10 * time.Second
	// confirmTimeout is how long the source asks whether a tasklet that it
	// gave up runs, when the link broke.
	confirmTimeout = 10 * time.Second
	// listed is how many pages are listed at a time when they follow at once.
	listed = 1024
	// maxAttempts is how often a move is begun again when the link breaks. The
	// destination keeps what it got, so that each attempt goes on where the
	// one before stopped.
	maxAttempts = 5
)

// dial opens a stream to another host of tasklets.
func (h *Host) dial(ctx context.Context, to p2p.ID) (*conn, error) {
	s, err := h.node.OpenLasting(ctx, to, Protocol)
	if errors.Is(err, p2p.ErrUnknownPeer) && h.table.FindPeer(ctx, to) == nil {
		s, err = h.node.OpenLasting(ctx, to, Protocol)
	}
	if err != nil {
		return nil, err
	}
	return newConn(s), nil
}

// depart moves p to another peer. The steps, and who may run the tasklet when:
//
//	offer    the destination accepts or refuses
//	prefetch it gets the program, and memory in rounds, while the tasklet runs
//	freeze   the tasklet stops at a safe point
//	prepare  the destination has everything, on disk if it has one, and does not
//	         run it
//	commit   this peer notes, on disk if it has one, that it has given the
//	         tasklet up, and says so
//
// Until the commit is noted, an error makes the tasklet go on here. From then
// on it is the destination's; one that does not hear of it asks. A peer that is
// killed and started again finds that a move which it had not committed is
// aborted, and goes on from the tasklet's last record; so the offer begins with
// making one. Mover is the number of the program's own call that asked for the
// move, or 0.
func (h *Host) depart(ctx context.Context, p *process, to p2p.ID, mover uint64) error {
	if to == h.node.ID() {
		return fmt.Errorf("%w: peer %s", ErrSelf, to)
	}
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	if err := p.live(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	p.mu.Lock()
	p.abort = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.abort = nil
		p.mu.Unlock()
	}()
	if err := h.mayCommit(p, to); err != nil {
		return err
	}
	if err := p.claimed(ctx); err != nil {
		return err
	}
	if h.disk != nil {
		if err := p.checkpoint(ctx); err != nil {
			return p.stays(ctx, err)
		}
	}
	for attempt := 1; ; attempt++ {
		again, err := h.attempt(ctx, p, to, mover, attempt == 1)
		if err == nil || !again || attempt == maxAttempts {
			return err
		}
		h.log.Info("a move broke off, and is begun again", "tasklet", p.id, "to", to, "reason", err)
		select {
		case <-time.After(time.Duration(attempt*attempt) * 50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// attempt is one attempt of depart. Again says that another may succeed.
func (h *Host) attempt(ctx context.Context, p *process, to p2p.ID, mover uint64, first bool) (again bool, err error) {
	m := &move{host: h, process: p, to: to, mover: mover}
	rand.Read(m.id[:])
	defer m.packer.close()
	if m.conn, err = h.dial(ctx, to); err != nil {
		return !first && ctx.Err() == nil, err
	}
	defer m.conn.stream.Reset()
	interrupt := context.AfterFunc(ctx, func() { m.conn.stream.Reset() })
	defer interrupt()

	h.note(m.id, outcome{state: undecided, id: p.id, to: to})
	err = p.engine.give(ctx, m)
	if err == nil && !interrupt() {
		err = ctx.Err()
	}
	if err == nil {
		var given bool
		if given, err = m.commit(); given {
			h.recognize(p.id, to)
			return false, err
		}
	}
	h.unnote(m.id)
	if stuck := m.undo(); stuck != nil {
		p.engine.kill(stuck)
	}
	again = ctx.Err() == nil && !errors.Is(err, sandbox.ErrBusy) && !errors.As(err, new(*remoteError))
	err = p.stays(ctx, err)
	return again && !errors.Is(err, ErrExited), err
}

// recognize has a peer be no stranger that hosts a tasklet of this one.
func (h *Host) recognize(id ID, host p2p.ID) {
	h.mu.Lock()
	own := h.started[id] != nil
	h.mu.Unlock()
	if own {
		h.node.Recognize(host)
	}
}

// stays returns what is to be said of a move that did not happen because of
// err.
func (p *process) stays(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, sandbox.ErrExited), errors.Is(err, sandbox.ErrClosed):
		<-p.over.done()
		return p.gone()
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fmt.Errorf("given up: %w", err)
	case ctx.Err() != nil:
		return fmt.Errorf("given up: %w", ctx.Err())
	case errors.As(err, new(*remoteError)):
		return err
	}
	return fmt.Errorf("it broke off, and the tasklet goes on here: %w", err)
}

// A move is one attempt of the source to move a tasklet.
type move struct {
	host    *Host
	process *process
	conn    *conn
	id      moveID
	to      p2p.ID
	mover   uint64
	packer  packer
	paused  bool
	froze   time.Time
	taken   time.Time // when the tasklet's clock was read; zero: it has none
	heard   time.Time // when the destination said that it is prepared
	hop     Hop
}

// offer says what is to be moved, and proves it.
func (m *move) offer(size uint64) *offer {
	p := m.process
	o := &offer{
		ID: p.id, Move: m.id, Program: p.program, Origin: p.origin, Memory: size, Args: p.args,
		Function: p.function, Shape: p.shape, Claim: p.claim,
	}
	if p.origin == o.Claim.Origin && p.origin == m.to.String() {
		o.Proof = p.key.proof(p.id, m.host.node.ID(), m.to)
	}
	return o
}

// send sends a message to a destination that may have said that it gives up.
func (m *move) send(t tag, v any) error {
	err := m.conn.send(t, v)
	if err != nil {
		err = m.conn.told(err)
	}
	return err
}
