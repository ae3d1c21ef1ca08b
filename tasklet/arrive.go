package tasklet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/program"
)

// An arrival is one attempt of another peer to move a tasklet here.
type arrival struct {
	host     *Host
	conn     *conn
	offer    offer
	from     p2p.ID
	process  *process
	received map[pageHash][]byte
}

// arrive serves an offer: see depart for the steps.
func (h *Host) arrive(c *conn, o *offer) error {
	a := &arrival{host: h, conn: c, offer: *o, from: c.peer(), received: map[pageHash][]byte{}}
	if err := h.admit(a); err != nil {
		c.fail(err)
		return err
	}
	defer func() {
		h.mu.Lock()
		delete(h.arriving, o.ID)
		h.mu.Unlock()
	}()
	if err := a.prepare(); err != nil {
		c.fail(err)
		if a.process != nil {
			a.process.inst.Close()
		}
		return err
	}
	h.reached("arrived")
	commit, err := a.await()
	if !commit {
		a.process.inst.Close()
		return fmt.Errorf("the source kept the tasklet: %w", err)
	}
	if err := a.run(); err != nil {
		c.fail(err)
		return err
	}
	return c.send(tagRunning, nil)
}

// admit decides whether a tasklet may come here.
func (h *Host) admit(a *arrival) error {
	if err := a.offer.ID.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	self := h.node.ID()
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.started[a.offer.ID]
	switch {
	case h.closed:
		return ErrClosed
	case own != nil && own.program == a.offer.Program: // it comes home
	case !h.opts.AcceptAny && !slices.Contains(h.opts.Accept, a.from):
		return fmt.Errorf("%w: peer %s does not accept tasklets from peer %s; to allow it, run that peer with --accept %s (Options.Accept)",
			ErrRefused, self, a.from, a.from)
	}
	if a.offer.Memory > h.opts.MemoryLimit {
		return fmt.Errorf("%w: the tasklet has %d bytes of memory; peer %s allows %d (--memory, Options.MemoryLimit)",
			ErrRefused, a.offer.Memory, self, h.opts.MemoryLimit)
	}
	if h.processes[a.offer.ID] != nil || h.arriving[a.offer.ID] {
		return fmt.Errorf("%w: tasklet %s is at peer %s already", ErrRefused, a.offer.ID, self)
	}
	h.arriving[a.offer.ID] = true
	return nil
}

// prepare gets everything that the tasklet needs to run.
func (a *arrival) prepare() error {
	h, c := a.host, a.conn
	if err := c.send(tagWelcome, nil); err != nil {
		return err
	}
	c.within(fetchTimeout + stepTimeout)
	code, err := h.fetch(h.ctx, a.offer.Program, a.from)
	if err != nil {
		return err
	}
	p := h.newProcess(a.offer.ID, a.offer.Program, a.offer.Origin, a.offer.Args, time.Time{})
	if err := p.instantiate(code); err != nil {
		return err
	}
	a.process = p
	if err := c.send(tagReady, nil); err != nil {
		return err
	}
	limit := maxEncoded(h.opts.MemoryLimit)
	for {
		c.within(stepTimeout + freezeTimeout)
		t, body, err := c.next(limit)
		switch {
		case err != nil:
			return err
		case t == tagPages:
			var list PageList
			if err := codec.Unmarshal(body, &list); err != nil {
				return err
			}
			if err := list.validate(h.opts.MemoryLimit); err != nil {
				return err
			}
			if err := a.receive(&list); err != nil {
				return err
			}
		case t == tagFrozen:
			cont, err := decodeContinuation(body, h.opts.MemoryLimit)
			if err != nil {
				return err
			}
			if err := a.restore(cont); err != nil {
				return err
			}
			return c.send(tagPrepared, nil)
		default:
			return fmt.Errorf("tasklet: message %d in a move: %w", t, codec.ErrMalformed)
		}
	}
}

// receive gets those pages of a list that are neither here from an earlier
// round nor in the cache.
func (a *arrival) receive(list *PageList) error {
	need := make([]byte, (len(list.Index)+7)/8)
	var missing []pageHash
	for n := range list.Index {
		hash := list.hash(n)
		if a.received[hash] != nil {
			continue
		}
		if page, ok := a.host.pages.Get(hash); ok {
			a.received[hash] = page
			continue
		}
		need[n/8] |= 1 << (n % 8)
		missing = append(missing, hash)
	}
	if uint64(len(a.received)+len(missing))*pageSize > 4*a.host.opts.MemoryLimit {
		return fmt.Errorf("%w: more pages than the tasklet can have", ErrContinuation)
	}
	if err := a.conn.sendBytes(tagNeed, need); err != nil {
		return err
	}
	return a.conn.receivePages(len(missing), func(page []byte) error {
		hash := missing[0]
		missing = missing[1:]
		if hashOf(page) != hash {
			return fmt.Errorf("%w: a page is not what its hash says", ErrContinuation)
		}
		a.received[hash] = page
		a.host.pages.Add(hash, page)
		return nil
	})
}

// restore builds the memory of a continuation. Nothing runs yet.
func (a *arrival) restore(c *Continuation) error {
	p := a.process
	if c.ID != a.offer.ID || c.Program != a.offer.Program || c.Origin != a.offer.Origin {
		return fmt.Errorf("%w: it is not the tasklet that was offered", ErrContinuation)
	}
	if err := a.receive(&c.Memory); err != nil {
		return err
	}
	if err := p.inst.Grow(uint32(c.Memory.Size / program.PageSize)); err != nil {
		return err
	}
	memory := p.inst.Memory()
	if uint64(len(memory)) != c.Memory.Size {
		return fmt.Errorf("%w: its memory is smaller than the program's own", ErrContinuation)
	}
	for n, i := range c.Memory.Index {
		copy(memory[int(i)*pageSize:], a.received[c.Memory.hash(n)])
	}
	p.args, p.started, p.moves = c.State.Args, c.Started, c.Moves
	p.out.base, p.out.data = c.UnreadAt, c.Unread
	p.arrived, p.moveID = c.Mover, a.offer.Move
	return p.inst.Adopt(c.State)
}

// await waits for the source's decision, and asks for it if the link breaks.
func (a *arrival) await() (commit bool, err error) {
	a.conn.within(stepTimeout)
	var hop Hop
	if err = a.conn.receive(tagCommit, &hop); err == nil {
		a.process.moves = appendHop(a.process.moves, hop)
		return true, nil
	}
	var told *remoteError
	if errors.As(err, &told) {
		return false, err
	}
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		ctx, cancel := context.WithTimeout(a.host.ctx, stepTimeout)
		reply, askErr := a.host.ask(ctx, a.from, &control{ID: a.offer.ID, Outcome: a.offer.Move})
		cancel()
		if askErr == nil && reply.Outcome != undecided {
			return reply.Outcome == committed, err
		}
		a.host.log.Warn("tasklet is prepared, but its source does not say whether it keeps it",
			"tasklet", a.offer.ID, "source", a.from, "reason", askErr)
		select {
		case <-time.After(wait):
		case <-a.host.ctx.Done():
			return false, ErrClosed
		}
	}
}

// run makes the tasklet this peer's.
func (a *arrival) run() error {
	h, p := a.host, a.process
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		p.inst.Close()
		return ErrClosed
	}
	h.processes[p.id] = p
	delete(h.departed, p.id)
	h.wg.Go(p.attend)
	h.mu.Unlock()
	if err := p.inst.Continue(); err != nil {
		p.inst.Kill(err)
		return err
	}
	h.log.Info("tasklet arrived", "tasklet", p.id, "from", a.from)
	return nil
}
