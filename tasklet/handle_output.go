package tasklet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/internal/output"
)

// A remote source is an output that the peer keeps which started the tasklet.
type remote struct {
	*Tasklet
	origin p2p.ID
	follow bool
	conn   *conn
	unhook func() bool
	fruits bool // the stream has brought something
}

// remoteOutput is Output of a tasklet that another peer started.
func (t *Tasklet) remoteOutput(ctx context.Context, follow bool) (io.ReadCloser, error) {
	origin, err := p2p.ParseID(t.ref.Origin)
	if err != nil {
		return nil, err
	}
	s := &remote{Tasklet: t, origin: origin, follow: follow}
	r := output.NewReader(ctx, s)
	if err := s.connect(r.Context(), 0); err != nil {
		r.Close()
		return nil, s.reason(ctx, err)
	}
	return r, nil
}

// connect asks the origin for what follows a position.
func (s *remote) connect(ctx context.Context, from int64) error {
	h := s.host
	if !h.enter() {
		return ErrClosed
	}
	defer h.wg.Done()
	reaching, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	c, err := h.dial(reaching, s.origin)
	if err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, func() { c.stream.Reset() })
	c.within(stepTimeout)
	err = c.send(tagRead, &read{ID: s.id, From: from, Follow: s.follow, Proof: s.ref.Key.proof(s.id, h.node.ID(), s.origin)})
	if err == nil {
		_, err = c.expect(tagWelcome, 0)
	}
	if err != nil {
		unhook()
		c.stream.Reset()
		return err
	}
	c.stream.SetDeadline(time.Time{})
	s.conn, s.unhook, s.fruits = c, unhook, false
	return nil
}

func (s *remote) Next(ctx context.Context, from int64) (at int64, data []byte, err error) {
	for {
		if s.conn == nil {
			if err := s.connect(ctx, from); err != nil {
				return from, nil, s.reason(ctx, err)
			}
		}
		var e event
		err := s.conn.receive(tagEvent, &e)
		if err == nil && (e.At < from || len(e.Output) == 0) {
			err = codec.ErrMalformed
		}
		if err == nil {
			s.fruits = true
			return e.At, e.Output, nil
		}
		s.unhook()
		s.conn.stream.Reset()
		s.conn = nil
		switch {
		case errors.Is(err, io.EOF):
			return from, nil, io.EOF
		case !s.fruits, ctx.Err() != nil, errors.As(err, new(*remoteError)):
			return from, nil, s.reason(ctx, err)
		}
	}
}

// reason says why there is no output.
func (s *remote) reason(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, new(*remoteError)):
		return fmt.Errorf("tasklet: output of %s: %w", s.id, err)
	}
	return fmt.Errorf("tasklet: output of %s: peer %s, which started it and alone keeps its output, does not answer: %w", s.id, s.origin, err)
}

// serveOutput serves a read.
func (h *Host) serveOutput(c *conn, q *read) error {
	h.mu.Lock()
	r := h.started[q.ID]
	h.mu.Unlock()
	var err error
	switch {
	case r == nil:
		err = fmt.Errorf("%w: peer %s did not start %s, or has forgotten it", ErrNotFound, h.self, q.ID)
	case !r.key.proves(q.Proof, q.ID, c.peer(), h.node.ID()):
		err = refused(q.ID)
	}
	if err != nil {
		c.fail(err)
		return err
	}
	if err := c.send(tagWelcome, nil); err != nil {
		return err
	}
	ctx, leave := c.watchClose(h.ctx)
	defer leave()
	source := output.Local{Buffer: r.out, Follow: q.Follow}
	for at := max(q.From, 0); ; {
		var data []byte
		if at, data, err = source.Next(ctx, at); errors.Is(err, io.EOF) {
			return c.stream.CloseWrite()
		} else if err != nil {
			c.stream.Reset()
			return err
		}
		c.stream.SetWriteDeadline(time.Now().Add(stepTimeout))
		if err := c.send(tagEvent, &event{Output: data, At: at}); err != nil {
			c.stream.Reset()
			return err
		}
		at += int64(len(data))
	}
}
