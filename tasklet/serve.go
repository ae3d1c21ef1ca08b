package tasklet

import (
	"context"
	"errors"
	"fmt"
	"io"
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
			err = decode(body, func(o *offer) error { return h.arrive(c, o) })
		case tagWatch:
			err = decode(body, func(w *watch) error { return h.watched(c, w) })
		case tagControl:
			err = decode(body, func(q *control) error { return h.controlled(c, q) })
		default:
			err = fmt.Errorf("tasklet: message %d begins nothing: %w", t, codec.ErrMalformed)
			c.fail(err)
		}
	}
	if err != nil {
		h.log.Debug("stream of tasklets ended", "peer", c.peer(), "reason", err)
		s.CloseWrite()
		s.CloseRead()
		return
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

// here returns the process that a request of the peer from is for. Only the
// peer that started a tasklet may ask for more than its end.
func (h *Host) here(id ID, from p2p.ID, anybody bool) (*process, *forward, error) {
	h.mu.Lock()
	p := h.processes[id]
	d, left := h.departed[id]
	waits := h.arriving[id] != nil && h.arriving[id].prepared
	h.mu.Unlock()
	switch {
	case p == nil && waits:
		return nil, nil, fmt.Errorf("%w: %s, at peer %s", ErrPrepared, id, h.node.ID())
	case p == nil && left:
		return nil, d.forward(h), nil
	case p == nil:
		return nil, nil, fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, id, h.node.ID())
	case p.origin != from.String() && !anybody:
		return nil, nil, fmt.Errorf("%w: only the peer that started tasklet %s may ask", ErrRefused, id)
	}
	return p, nil, nil
}

// watched serves a watch.
func (h *Host) watched(c *conn, w *watch) error {
	p, moved, err := h.here(w.ID, c.peer(), false)
	if err != nil {
		c.fail(err)
		return err
	}
	if moved != nil {
		return c.send(tagEvent, &event{Moved: moved})
	}
	c.stream.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		defer cancel()
		heard <- h.hear(c, p)
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
		}
		h.mu.Unlock()
		if exited, _ := p.status(); told && exited != nil {
			h.forget(w.ID)
		}
	}
	return nil
}

// hear drops the output that the other end has, until it closes the stream.
func (h *Host) hear(c *conn, p *process) error {
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
		p.out.trim(at)
	}
}

// controlled serves a control.
func (h *Host) controlled(c *conn, q *control) error {
	reply, err := h.answer(c, q)
	c.within(stepTimeout) // a move may have taken longer
	if err != nil {
		c.fail(err)
		return err
	}
	return c.send(tagReply, reply)
}

func (h *Host) answer(c *conn, q *control) (*reply, error) {
	switch {
	case q.Outcome != moveID{}:
		h.mu.Lock()
		defer h.mu.Unlock()
		if o := h.moves[q.Outcome]; o.to == c.peer() {
			return &reply{Outcome: o.state, Hop: o.hop, Claim: &o.claim}, nil
		}
		return &reply{Outcome: aborted}, nil
	case q.Confirm != moveID{}:
		h.mu.Lock()
		defer h.mu.Unlock()
		p := h.processes[q.ID]
		if _, left := h.departed[q.ID]; left || p != nil && p.moveID == q.Confirm {
			return &reply{}, nil
		}
		return nil, ErrNotFound
	}
	if q.Claim {
		return h.claimOf(q.ID)
	}
	p, moved, err := h.here(q.ID, c.peer(), q.Wait)
	if err != nil || moved != nil {
		return &reply{Moved: moved}, err
	}
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	listened := make(chan struct{})
	go func() { // the other end gives up by ending the stream
		defer close(listened)
		defer cancel()
		c.stream.SetReadDeadline(time.Time{})
		c.next(0)
	}()
	defer func() {
		c.stream.CloseRead()
		<-listened
	}()
	if q.Wait {
		return p.awaited(ctx)
	}
	err = h.act(ctx, p, q)
	var elsewhere *movedError
	if errors.As(err, &elsewhere) {
		return &reply{Moved: elsewhere.forward(h)}, nil
	}
	return &reply{}, err
}

// act does what a control asks.
func (h *Host) act(ctx context.Context, p *process, q *control) error {
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
	return h.depart(ctx, p, to, 0)
}

// ask asks another host for something.
func (h *Host) ask(ctx context.Context, of p2p.ID, q *control) (*reply, error) {
	c, err := h.dial(ctx, of)
	if err != nil {
		return nil, err
	}
	defer c.stream.Reset()
	defer context.AfterFunc(ctx, func() { c.stream.Reset() })()
	if err := c.send(tagControl, q); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	var r reply
	if err := c.receive(tagReply, &r); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return &r, nil
}

// claimOf returns this peer's claim on a tasklet.
func (h *Host) claimOf(id ID) (*reply, error) {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, id, h.node.ID())
	}
	return &reply{Claim: &p.claim}, nil
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
