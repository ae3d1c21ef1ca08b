package tasklet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// maxForwards bounds how often a tasklet is followed from host to host.
	maxForwards = 64
	// waitRetryTimeout is how long a Wait goes on asking for a tasklet of which nobody
	// knows any more: its host may just be started again.
	waitRetryTimeout = time.Minute
	// reachTimeout is how long it may take to reach a peer that may have the
	// tasklet, until others are asked.
	reachTimeout = 15 * time.Second
)

// A locator is the search for the host of a tasklet, to ask it for something.
type locator struct {
	*Tasklet
	q      control
	failed map[p2p.ID]bool // who do not answer, or do not have it
	lost   time.Time       // when nobody was left to be asked
}

// control asks the tasklet's host, here or elsewhere, and returns its answer,
// which is never that the tasklet has moved.
func (t *Tasklet) control(ctx context.Context, q control) (*reply, error) {
	h := t.host
	if !h.enter() {
		return nil, ErrClosed
	}
	defer h.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	q.ID = t.id
	s := &locator{Tasklet: t, q: q, failed: map[p2p.ID]bool{}}
	r, err := s.run(ctx)
	if err != nil && h.ctx.Err() != nil {
		err = ErrClosed
	}
	return r, err
}

func (s *locator) run(ctx context.Context) (*reply, error) {
	h := s.host
	var where p2p.ID
	var last error
	for n := 0; ; n++ {
		if n >= maxForwards {
			if !s.q.Wait {
				return nil, fmt.Errorf("%w: it moves faster than it can be followed", ErrNotFound)
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		if where == "" || s.failed[where] {
			var err error
			if where, err = s.next(ctx); err != nil {
				if last == nil || errors.Is(err, ErrExited) || errors.Is(err, ErrRefused) {
					last = err
				}
				if s.q.Wait && s.waitToRetry(ctx) {
					continue
				}
				return nil, cmp.Or(ctx.Err(), last)
			}
		}
		begun := time.Now()
		r, err := s.ask(ctx, where)
		if time.Since(begun) > waitRetryTimeout { // so long it was known
			s.lost = time.Time{}
		}
		switch {
		case err == nil && r == nil: // it has just come here, or left
			where = ""
		case err == nil && r.Moved != nil:
			to, err := p2p.ParseID(r.Moved.To)
			if err != nil {
				return nil, err
			}
			h.node.AddAddrs(to, r.Moved.Addrs)
			s.failed[where] = s.failed[to] // who knows no better is of no use
			where = to
		case err == nil:
			s.noteHost(where)
			return r, nil
		case ctx.Err() != nil, !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClosed) && (where == h.node.ID() || errors.As(err, new(*remoteError))):
			return nil, err
		default:
			s.failed[where], last = true, err
		}
	}
}

// waitToRetry waits a little, and has all be asked again, unless that was done for
// long enough.
func (s *locator) waitToRetry(ctx context.Context) bool {
	if s.lost.IsZero() {
		s.lost = time.Now()
	}
	if time.Since(s.lost) > waitRetryTimeout {
		return false
	}
	clear(s.failed)
	select {
	case <-time.After(time.Second):
		return true
	case <-ctx.Done():
		return false
	}
}

// next returns who is to be asked, the most likely first.
func (s *locator) next(ctx context.Context) (p2p.ID, error) {
	h := s.host
	p, r := s.lookup()
	switch {
	case p != nil:
		return h.node.ID(), nil
	case r != nil && r.exited() != nil:
		return "", ErrExited
	case r == nil && s.ref == nil && !s.q.Wait && !s.q.Info:
		return "", fmt.Errorf("%w: it is not at this peer, which did not start it; open a Ref of it, or ask the peer that started it", ErrRefused)
	}
	var known []p2p.ID
	if r != nil {
		known = append(known, h.lastSeen(r))
	}
	h.mu.Lock()
	left, _ := h.departed.Peek(s.id)
	seen, _ := h.lastKnown.Get(s.id)
	known = append(known, left.to, seen.at)
	h.mu.Unlock()
	if s.ref != nil {
		origin, err := p2p.ParseID(s.ref.Origin)
		if err != nil {
			return "", err
		}
		known = append(known, origin)
	}
	for _, id := range known {
		if id != "" && !s.failed[id] {
			return id, nil
		}
	}
	id, err := h.locate(ctx, s.id)
	if err == nil && s.failed[id] {
		err = fmt.Errorf("%w: peer %s, which had it last, does not answer", ErrNotFound, id)
	}
	if err == nil && r != nil {
		r.located(id)
	}
	return id, err
}

// ask asks one peer. There is neither an answer nor an error if what this peer
// knows of the tasklet has changed.
func (s *locator) ask(ctx context.Context, where p2p.ID) (*reply, error) {
	h := s.host
	if where != h.node.ID() {
		q := s.q
		if s.ref != nil {
			q.Proof = s.ref.Key.proof(s.id, h.node.ID(), where)
		}
		return h.ask(ctx, where, &q)
	}
	p, _ := s.lookup()
	switch {
	case p == nil: // it is just coming
		return nil, h.awaitIncoming(ctx, s.id)
	case s.ref != nil && !p.key.is(&s.ref.Key):
		return nil, errKey
	}
	return h.act(ctx, p, &s.q)
}

// noteHost notes where the tasklet answered, for the next time.
func (s *locator) noteHost(at p2p.ID) {
	h := s.host
	if _, r := s.lookup(); r != nil || at == h.node.ID() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	seen, _ := h.lastKnown.Peek(s.id)
	h.lastKnown.Add(s.id, lastKnownHost{at, seen.seq})
}

// ask asks another host for something.
func (h *Host) ask(ctx context.Context, of p2p.ID, q *control) (*reply, error) {
	reaching, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	c, err := h.dial(reaching, of)
	if err != nil {
		return nil, err
	}
	defer c.stream.Reset()
	defer context.AfterFunc(ctx, func() { c.stream.Reset() })()
	q.Run = h.run
	if err := c.send(tagControl, q); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	var r reply
	if err := c.receive(tagReply, &r); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	h.noteIncarnation(of, r.Run)
	if r.Twice {
		h.reportTwin(of)
	}
	return &r, nil
}
