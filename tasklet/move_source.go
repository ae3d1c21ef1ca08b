package tasklet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/diskspace"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// An outcome is what became of a move from here.
type outcome struct {
	state       moveDecision
	id          ID
	to          p2p.ID
	hop         Hop // as far as it was known when the tasklet was given up
	claim       Claim
	source      string        // the peer that had brought the tasklet here
	at          time.Duration // uptime
	clockReadAt time.Time     // when the tasklet's clock was read
}

// dial opens a stream to another host of tasklets.
func (h *Host) dial(ctx context.Context, to p2p.ID) (*conn, error) {
	s, err := h.node.OpenResumable(ctx, to, Protocol)
	if errors.Is(err, p2p.ErrUnknownPeer) && h.table.FindPeer(ctx, to) == nil {
		s, err = h.node.OpenResumable(ctx, to, Protocol)
	}
	if err != nil {
		return nil, err
	}
	return newConn(s), nil
}

// moveTo moves p to another peer: see move.go for the protocol. Until the outcome
// is written down, an error makes the tasklet go on here. Call is the number of
// the program's own call that asked for the move, or 0.
func (h *Host) moveTo(ctx context.Context, p *process, to p2p.ID, call uint64) error {
	if to == h.node.ID() {
		return fmt.Errorf("%w: peer %s", ErrSelf, to)
	}
	if err := p.lockOp(ctx); err != nil {
		return err
	}
	defer func() { <-p.opLock }()
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
	if err := h.checkOutcomes(p, to); err != nil {
		return err
	}
	if err := p.prepareClaim(ctx); err != nil {
		return err
	}
	if h.disk != nil {
		if err := p.recordLeaving(ctx); err != nil {
			return p.notMovedError(ctx, err)
		}
	}
	for attempt := 1; ; attempt++ {
		again, err := h.attemptMove(ctx, p, to, call, attempt == 1)
		if err == nil || !again || attempt == moveAttemptsMax {
			return err
		}
		h.log.Info("move broke off and is begun again", "tasklet", p.id, "peer", to, "error", err)
		select {
		case <-time.After(time.Duration(attempt*attempt) * attemptPause):
		case <-ctx.Done():
			return err
		}
	}
}

// recordLeaving makes a checkpoint of a tasklet that is about to move. When the
// disk is full it does without, so that the tasklet can leave: its last record
// stays, and it is what a peer goes on from that is killed before the commit. The
// record must name the holder that the claim names. The caller holds opLock.
func (p *process) recordLeaving(ctx context.Context) error {
	err := p.checkpoint(ctx)
	if !diskspace.Full(err) || p.saved == nil || p.saved.Standing != running || p.saved.Cont.Claim.namedHolder() != p.claim.namedHolder() {
		return err
	}
	p.host.log.Warn("the disk is full: a tasklet moves without a new record, and goes on from its last one if this peer is killed before it has left",
		"tasklet", p.id, "recorded", p.saved.At, "error", err)
	return nil
}

// attemptMove is one attempt of moveTo. Again says that another may succeed.
func (h *Host) attemptMove(ctx context.Context, p *process, to p2p.ID, call uint64, first bool) (again bool, err error) {
	m := &outgoingMove{host: h, process: p, to: to, call: call}
	rand.Read(m.id[:])
	defer m.packer.close()
	if m.conn, err = h.dial(ctx, to); err != nil {
		return !first && ctx.Err() == nil, err
	}
	defer m.conn.stream.Reset()
	interrupt := context.AfterFunc(ctx, func() { m.conn.stream.Reset() })
	defer interrupt()

	h.setOutcome(m.id, outcome{state: undecided, id: p.id, to: to})
	err = p.engine.sendState(ctx, m)
	if err == nil && !interrupt() {
		err = ctx.Err()
	}
	if err == nil {
		var given bool
		if given, err = m.commit(); given {
			h.recognizeHost(p.id, to)
			return false, err
		}
	}
	h.dropOutcome(m.id)
	if stuck := m.undo(); stuck != nil {
		p.engine.kill(stuck)
	}
	again = ctx.Err() == nil && !errors.Is(err, sandbox.ErrBusy) && !errors.As(err, new(*remoteError))
	err = p.notMovedError(ctx, err)
	return again && !errors.Is(err, ErrExited), err
}

// recognizeHost has a peer be no stranger that hosts a tasklet of this one.
func (h *Host) recognizeHost(id ID, host p2p.ID) {
	h.mu.Lock()
	own := h.started[id] != nil
	h.mu.Unlock()
	if own {
		h.node.Recognize(host)
	}
}

// notMovedError returns what is to be said of a move that did not happen because of
// err.
func (p *process) notMovedError(ctx context.Context, err error) error {
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

// A outgoingMove is one attempt of the source to move a tasklet.
type outgoingMove struct {
	host        *Host
	process     *process
	conn        *conn
	id          moveID
	to          p2p.ID
	call        uint64
	packer      packer
	paused      bool
	pausedAt    time.Time
	clockReadAt time.Time // when the tasklet's clock was read; zero: it has none
	preparedAt  time.Time // when the destination said that it is prepared
	hop         Hop
}

// offer says what is to be moved, and proves it.
func (m *outgoingMove) offer(size uint64) *offer {
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
func (m *outgoingMove) send(t tag, v any) error {
	err := m.conn.send(t, v)
	if err != nil {
		err = m.conn.refusal(err)
	}
	return err
}
