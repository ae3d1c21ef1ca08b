package tasklet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// serve serves a stream from another host.
func (h *Host) serve(s p2p.Stream) {
	if !h.enter() {
		s.Reset()
		return
	}
	defer h.wg.Done()
	c := newConn(s)
	stop := context.AfterFunc(h.ctx, func() { s.Reset() })
	defer stop()
	c.within(stepTimeout)
	t, body, err := c.next(smallMessage)
	if err == nil {
		switch t {
		case tagOffer:
			err = decode(body, func(o *offer) error { return h.serveMove(c, o) })
		case tagWatch:
			err = decode(body, func(w *watch) error { return h.serveWatch(c, w) })
		case tagControl:
			err = decode(body, func(q *control) error { return h.serveControl(c, q) })
		case tagRead:
			err = decode(body, func(r *read) error { return h.serveOutput(c, r) })
		default:
			err = fmt.Errorf("tasklet: message %d begins nothing: %w", t, codec.ErrMalformed)
			c.fail(err)
		}
	}
	if err != nil {
		level := slog.LevelDebug
		if public(err) != err { // the other peer did not hear it all
			level = slog.LevelWarn
		}
		h.log.Log(h.ctx, level, "stream ended", "peer", c.peer(), "error", err)
	}
	s.Close()
}

func decode[T any](body []byte, serve func(*T) error) error {
	var v T
	if err := codec.Unmarshal(body, &v); err != nil {
		return err
	}
	return serve(&v)
}

// authorize returns the process that a request of the peer from is for, or else the
// reply. Only the peer that started a tasklet, and those who prove that they have
// its key, may ask for more than its end. A wrong proof is none, whoever shows it:
// it may be that of a program.
func (h *Host) authorize(q *control, from p2p.ID) (*process, *reply, error) {
	h.mu.Lock()
	p, r := h.processes[q.ID], h.started[q.ID]
	d, left := h.departed.Peek(q.ID)
	waits := h.incoming[q.ID] != nil && h.incoming[q.ID].prepared
	h.mu.Unlock()
	switch {
	case p == nil && waits:
		return nil, nil, fmt.Errorf("%w: %s, at peer %s", ErrPrepared, q.ID, h.self)
	case p == nil && r != nil:
		reply, err := r.answer(q, from)
		return nil, reply, err
	case p == nil && left:
		return nil, &reply{Moved: d.forward(h)}, nil
	case p == nil:
		return nil, nil, fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, q.ID, h.self)
	case !q.Wait && (p.origin != from.String() || len(q.Proof) > 0) && !p.key.proves(q.Proof, q.ID, from, h.node.ID()):
		return nil, nil, refused(q.ID)
	}
	return p, nil, nil
}

func refused(id ID) error {
	return fmt.Errorf("%w: only the peer that started tasklet %s may ask, and who has a Ref of it", ErrRefused, id)
}

// serveWatch serves a watch.
func (h *Host) serveWatch(c *conn, w *watch) error {
	p, r, err := h.authorize(&control{ID: w.ID}, c.peer())
	switch {
	case err != nil:
		c.fail(err)
		return err
	case p == nil:
		return c.send(tagEvent, &event{Moved: r.Moved})
	}
	c.stream.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		defer cancel()
		heard <- h.readAcks(c, p)
	}()
	err = p.watch(ctx, w.From, func(e event) error {
		c.stream.SetWriteDeadline(time.Now().Add(stepTimeout))
		return c.send(tagEvent, &e)
	})
	if err != nil {
		c.stream.Reset()
		<-heard
		return err
	}
	c.stream.SetReadDeadline(time.Now().Add(stepTimeout))
	if <-heard == nil && p.gone() != nil {
		h.mu.Lock()
		told := h.processes[w.ID] == p
		if told {
			delete(h.processes, w.ID)
			h.ended.Remove(w.ID)
		}
		h.mu.Unlock()
		if exited, _ := p.status(); told && exited != nil {
			h.forget(w.ID)
		}
	}
	return nil
}

// readAcks drops the output that the other end has, until it closes the stream.
func (h *Host) readAcks(c *conn, p *process) error {
	for {
		t, body, err := c.next(smallMessage)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var at int64
		if t != tagHeard {
			return codec.ErrMalformed
		}
		if err := codec.Unmarshal(body, &at); err != nil {
			return err
		}
		p.out.Trim(at)
	}
}

// serveControl serves a control.
func (h *Host) serveControl(c *conn, q *control) error {
	twice := h.noteIncarnation(c.peer(), q.Run)
	reply, err := h.answer(c, q)
	c.within(stepTimeout) // a move may have taken longer
	if err != nil {
		c.fail(err)
		return err
	}
	reply.Run, reply.Twice = h.run, twice
	return c.send(tagReply, reply)
}

func (h *Host) answer(c *conn, q *control) (*reply, error) {
	switch {
	case q.Outcome != moveID{}:
		h.mu.Lock()
		defer h.mu.Unlock()
		if o := h.moves[q.Outcome]; o.to == c.peer() {
			return &reply{Outcome: o.state, Hop: o.hop, Claim: &o.claim, Age: since(o.clockReadAt)}, nil
		}
		return &reply{Outcome: aborted}, nil
	case q.Confirm != moveID{}:
		h.mu.Lock()
		defer h.mu.Unlock()
		p := h.processes[q.ID]
		switch {
		case h.incoming[q.ID] != nil: // that it was here before says nothing of this move
			return nil, fmt.Errorf("%w: %s, at peer %s", ErrPrepared, q.ID, h.self)
		case h.departed.Contains(q.ID), p != nil && p.moveID == q.Confirm:
			return &reply{}, nil
		}
		return nil, ErrNotFound
	}
	switch {
	case q.Greet:
		return &reply{}, nil
	case q.Claim:
		return h.claimOf(q.ID)
	case q.Renew != nil:
		return h.serveRenewal(q, c.peer())
	}
	p, r, err := h.authorize(q, c.peer())
	if p == nil {
		return r, err
	}
	ctx, leave := c.watchClose(h.ctx) // the other end gives up by ending the stream
	defer leave()
	return h.act(ctx, p, q)
}

// act does what a control asks for, or says where the tasklet went.
func (h *Host) act(ctx context.Context, p *process, q *control) (*reply, error) {
	err := p.gone()
	switch {
	case q.Wait:
		return p.awaited(ctx)
	case q.Info && !errors.As(err, new(*movedError)):
		i := p.info()
		return &reply{Info: &i}, nil
	case err == nil:
		err = h.do(ctx, p, q)
	}
	var moved *movedError
	if errors.As(err, &moved) {
		return &reply{Moved: moved.forward(h)}, nil
	}
	return &reply{}, err
}

func (h *Host) do(ctx context.Context, p *process, q *control) error {
	switch {
	case q.Kill:
		return p.kill(ctx, ErrKilled)
	case q.Suspend:
		return p.suspend(ctx, true)
	case q.Resume:
		return p.resume(ctx)
	}
	to, err := p2p.ParseID(q.Move)
	if err != nil {
		return err
	}
	return h.moveTo(ctx, p, to, 0)
}

// claimOf returns this peer's claim on a tasklet.
func (h *Host) claimOf(id ID) (*reply, error) {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, id, h.node.ID())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	claim := p.claim
	return &reply{Claim: &claim}, nil
}

// awaited waits until the tasklet has exited or moved.
func (p *process) awaited(ctx context.Context) (*reply, error) {
	select {
	case <-p.over.done():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	exited, left := p.status()
	if left != nil {
		return &reply{Moved: left.forward(p.host)}, nil
	}
	return &reply{Exited: exited}, nil
}
