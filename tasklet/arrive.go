package tasklet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/journal"
	"github.com/dstackless/dstackless/tasklet/program"
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
	stored int64         // records of the log that are on disk for certain

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

// admit decides whether a tasklet may come here. An attempt of the same source
// that is under way is over then: the source knows that it failed.
func (h *Host) admit(a *arrival) error {
	if err := a.offer.ID.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	for {
		h.mu.Lock()
		before := h.arriving[a.offer.ID]
		if before == nil || before.from != a.from {
			break
		}
		h.mu.Unlock()
		before.cancel()
		select {
		case <-before.done:
		case <-h.ctx.Done():
			return ErrClosed
		}
	}
	stale, err := h.takeUp(a)
	h.mu.Unlock()
	if stale != nil {
		h.dropPartial(stale)
	}
	return err
}

// takeUp makes an attempt that is admitted the host's, with what there is of an
// earlier one of the same tasklet. It returns what there is of another one that
// has the tasklet's ID. The lock is held.
func (h *Host) takeUp(a *arrival) (stale *process, err error) {
	if err := h.admits(a); err != nil {
		return nil, err
	}
	o := &a.offer
	p := h.partials[o.ID]
	delete(h.partials, o.ID)
	if p != nil && (p.program != o.Program || p.origin != o.Origin) {
		stale, p = p, nil
	}
	if p == nil {
		p = h.newProcess(o.ID, work{o.Program, o.Args, o.Function, o.Shape}, o.Origin, time.Time{})
		p.enter()
	}
	if err := p.reserve(o.Memory); err != nil {
		p.settle()
		return stale, err
	}
	a.process = p
	a.enlist()
	return stale, nil
}

// admits is admit for one attempt. The lock is held.
func (h *Host) admits(a *arrival) error {
	self := h.node.ID()
	own := h.started[a.offer.ID]
	switch {
	case h.closed:
		return ErrClosed
	case own != nil && own.program == a.offer.Program && own.function == a.offer.Function: // it comes home
	case !h.opts.AcceptAny && !slices.Contains(h.opts.Accept, a.from):
		return fmt.Errorf("%w: peer %s does not accept tasklets from peer %s; to allow it, run that peer with --accept %s (Options.Accept)",
			ErrRefused, self, a.from, a.from)
	}
	origin, err := p2p.ParseID(a.offer.Origin)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	case h.node.IsBlocked(origin):
		return fmt.Errorf("%w: peer %s, which started the tasklet, is blocked at peer %s", ErrRefused, origin, self)
	case h.draining:
		return fmt.Errorf("%w: %w", ErrRefused, ErrDraining)
	case a.offer.Memory > h.opts.Limits.Memory:
		return fmt.Errorf("%w: the tasklet has %d bytes of memory; peer %s allows %d (--memory, Limits.Memory)",
			ErrRefused, a.offer.Memory, self, h.opts.Limits.Memory)
	case h.processes[a.offer.ID] != nil || h.arriving[a.offer.ID] != nil:
		return fmt.Errorf("%w: tasklet %s is at peer %s already", ErrRefused, a.offer.ID, self)
	}
	if a.offer.Function != "" {
		if _, err := h.defined(a.offer.Function, a.offer.Shape); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	if h.partials[a.offer.ID] != nil {
		return nil // it is charged already
	}
	return h.afford(&a.offer)
}

// guest is the engine of a program that arrives.
func (a *arrival) guest() *guest { return a.process.engine.(*guest) }

// take gets the program, and its memory.
func (g *guest) take(a *arrival) error {
	h, c := a.host, a.conn
	if err := c.send(tagWelcome, nil); err != nil {
		return err
	}
	c.within(fetchTimeout + stepTimeout)
	code, err := h.fetch(a.ctx, a.offer.Program, a.from)
	if err != nil {
		return err
	}
	if err := a.open(code); err != nil {
		return err
	}
	if err := c.sendBytes(tagReady, a.asks()); err != nil {
		return err
	}
	defer a.unpacker.close()
	limit := maxEncoded(h.opts.Limits.Memory)
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
			if err := list.validate(h.opts.Limits.Memory); err != nil {
				return err
			}
			if err := a.receive(&list); err != nil {
				return err
			}
			if err := a.store(len(list.Index) < listed); err != nil {
				return err
			}
			h.reached("received")
		case t == tagFrozen:
			cont, err := decodeContinuation(body, h.opts.Limits.Memory)
			if err != nil {
				return err
			}
			if err := a.restore(cont); err != nil {
				return err
			}
			h.reached("restored")
			if err := a.save(cont); err != nil {
				return err
			}
			a.ready()
			return c.send(tagPrepared, nil)
		default:
			return fmt.Errorf("tasklet: message %d in a move: %w", t, codec.ErrMalformed)
		}
	}
}

// ready notes that all is here but the source's word.
func (a *arrival) ready() {
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	a.prepared, a.since = true, time.Now()
}

// stored is how many pages are brought to disk at a time while more of them come,
// 16 MiB, and at the end of a round a quarter.
const stored = 4096

// store brings pages to disk that have come, if they are many, so that few are
// left for the time when the tasklet stands still.
func (a *arrival) store(roundEnds bool) error {
	log := a.guest().pages
	if log == nil {
		return nil
	}
	fresh := log.Records() - a.stored
	if fresh < stored/4 || fresh < stored && !roundEnds {
		return nil
	}
	_, err := log.Sync()
	a.stored = log.Records()
	return err
}

// asks returns what is asked of the source: one byte, if some of the memory may be
// here, so that it is worth while to be told by hashes what it is. That is so if
// an earlier attempt brought some, or the cache has as much as half of it.
func (a *arrival) asks() []byte {
	if a.guest().book.differ > 0 || a.offer.Memory/2 < uint64(a.host.pages.Len())*pageSize {
		return []byte{1}
	}
	return nil
}

// receive takes over a list of pages.
func (a *arrival) receive(list *PageList) error {
	p := a.guest()
	if err := p.inst.Grow(uint32(list.Size / program.PageSize)); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	memory := p.inst.Memory()
	if uint64(len(memory)) != list.Size {
		return fmt.Errorf("%w: its memory is smaller than the program's own", ErrContinuation)
	}
	p.book.resize(list.Size)
	if len(list.Hashes) == 0 {
		if !a.listed && p.book.differ > 0 {
			return fmt.Errorf("%w: a first list without hashes, which were asked for", ErrContinuation)
		}
		a.listed = true
		return a.fill(memory, list)
	}
	missing, err := a.miss(memory, list)
	if err != nil {
		return err
	}
	return a.fill(memory, missing)
}

// miss tells the source which pages of a list are missing: those that are neither
// here from an earlier attempt nor in the cache. It returns a list of them.
func (a *arrival) miss(memory []byte, list *PageList) (*PageList, error) {
	p := a.guest()
	if !a.listed {
		if err := a.reset(memory, list); err != nil {
			return nil, err
		}
	}
	here := slices.DeleteFunc(slices.Clone(list.Index), func(i uint32) bool { return !p.book.differs[i] })
	p.book.name(here, pageOf(memory))
	missing := &PageList{Size: list.Size}
	need := make([]byte, (len(list.Index)+7)/8)
	for n, i := range list.Index {
		hash := list.hash(n)
		if p.book.differs[i] && p.book.hashes[i] == hash {
			continue
		}
		if page, ok := a.host.pages.Get(hash); ok {
			if err := a.place(memory, i, hash, page); err != nil {
				return nil, err
			}
			continue
		}
		need[n/8] |= 1 << (n % 8)
		missing.Index = append(missing.Index, i)
		missing.Hashes = append(missing.Hashes, hash[:]...)
	}
	return missing, a.conn.sendBytes(tagNeed, need)
}

// fill takes in the pages of a list, which follow. The memory of small tasklets is
// kept in the cache, too.
func (a *arrival) fill(memory []byte, list *PageList) error {
	keeps, n := list.Size <= maxKept*pageSize, 0
	return a.unpacker.receive(a.conn, len(list.Index), func(page []byte) error {
		i, said := list.Index[n], list.hash(n)
		n++
		var hash pageHash
		if said != (pageHash{}) || keeps {
			hash = hashOf(page)
		}
		if said != (pageHash{}) && said != hash {
			return fmt.Errorf("%w: a page is not what its hash says", ErrContinuation)
		}
		if keeps {
			a.host.pages.Add(hash, slices.Clone(page))
		}
		return a.place(memory, i, hash, page)
	})
}

// pageOf returns what returns the pages of a memory.
func pageOf(memory []byte) func(i uint32) []byte {
	return func(i uint32) []byte { return memory[int(i)*pageSize:][:pageSize] }
}

// reset makes the pages that an earlier attempt brought, and that the first list
// does not have, those of the program's own memory.
func (a *arrival) reset(memory []byte, list *PageList) error {
	a.listed = true
	p := a.guest()
	for _, i := range without(p.book.all(), list.Index) {
		if err := a.place(memory, i, pageHash{}, original(p.book.image, int(i))); err != nil {
			return err
		}
	}
	return nil
}

// place puts a page where it belongs. Its hash is zero if it is not known.
func (a *arrival) place(memory []byte, i uint32, hash pageHash, page []byte) error {
	p := a.guest()
	if hash == (pageHash{}) && p.pages != nil {
		hash = hashOf(page)
	}
	copy(memory[int(i)*pageSize:], page)
	p.book.set(i, hash)
	if p.pages == nil {
		return nil
	}
	return p.pages.Append(i, hash, page)
}

// restore takes over a continuation. Nothing runs yet.
func (a *arrival) restore(c *Continuation) error {
	p := a.guest()
	if c.ID != a.offer.ID || c.Program != a.offer.Program || c.Origin != a.offer.Origin {
		return fmt.Errorf("%w: it is not the tasklet that was offered", ErrContinuation)
	}
	if err := a.receive(&c.Memory); err != nil {
		return err
	}
	a.adopt(c)
	p.args, p.arrived = c.State.Args, c.Mover
	return p.inst.Adopt(c.State)
}

// adopt takes over what a continuation says of any tasklet.
func (a *arrival) adopt(c *Continuation) {
	p := a.process
	p.started, p.moves, p.moveID, p.key = c.Started, c.Moves, a.offer.Move, c.Key
	p.out.base, p.out.data = c.UnreadAt, c.Unread
}

// save brings all of the tasklet to the disk.
func (a *arrival) save(c *Continuation) error {
	if a.host.disk == nil {
		return nil
	}
	cont := *c
	cont.Memory = PageList{Size: c.Memory.Size}
	return a.process.save(&hosted{
		Standing: prepared, Cont: cont, Pages: a.guest().pages.Name(), Move: a.offer.Move, Source: a.from.String(),
	})
}

// await waits for the source's decision, and asks for it if the link breaks.
func (a *arrival) await() (run bool, err error) {
	a.conn.within(stepTimeout)
	var c commit
	if err = a.conn.receive(tagCommit, &c); err == nil {
		a.process.moves, a.process.claim = appendHop(a.process.moves, c.Hop), c.Claim
		return true, nil
	}
	var told *remoteError
	if errors.As(err, &told) {
		return false, err
	}
	return a.ask(err)
}

// ask asks the source for its decision until there is one, or the operator
// takes it.
func (a *arrival) ask(err error) (commit bool, _ error) {
	h := a.host
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		ctx, cancel := context.WithTimeout(a.ctx, stepTimeout)
		reply, askErr := h.ask(ctx, a.from, &control{ID: a.offer.ID, Outcome: a.offer.Move})
		cancel()
		if askErr == nil && reply.Outcome != undecided {
			if reply.Outcome == committed {
				a.process.moves = appendHop(a.process.moves, reply.Hop)
				if reply.Claim != nil {
					a.process.claim = *reply.Claim
				}
			}
			return reply.Outcome == committed, err
		}
		h.mu.Lock()
		a.asked = askErr
		h.mu.Unlock()
		h.log.Warn("tasklet is prepared, but its source does not say whether it keeps it",
			"tasklet", a.offer.ID, "source", a.from, "reason", askErr)
		select {
		case <-time.After(wait):
		case run := <-a.forced:
			return run, errForced
		case <-a.ctx.Done():
			if h.ctx.Err() != nil {
				return false, ErrClosed
			}
			return false, errAgain
		}
	}
}

var (
	errForced = errors.New("the operator has decided")
	errAgain  = errors.New("the source has begun again")
)

// run makes the tasklet this peer's.
func (a *arrival) run() error {
	h, p := a.host, a.process
	p.turn <- struct{}{} // nobody else has it
	defer func() { <-p.turn }()
	if p.saved != nil {
		s := *p.saved
		s.Standing, s.Cont.Moves, s.Cont.Claim = running, p.moves, p.claim
		err := p.saveHosted(&s, func(tx *journal.Tx) error { return tx.Delete(tableDeparted, string(p.id)) })
		if err != nil {
			// The source has given it up, and this peer's record says that it
			// is prepared: the next start asks again.
			p.engine.unload()
			p.settle()
			return err
		}
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		p.engine.unload()
		p.settle()
		return ErrClosed
	}
	h.processes[p.id] = p
	delete(h.departed, p.id)
	h.mu.Unlock()
	h.log.Info("tasklet arrived", "tasklet", p.id, "from", a.from)
	if p.live() != nil { // it was prepared before this peer was started
		return p.wake(h.ctx)
	}
	return p.launch()
}

// landed waits until a tasklet that is just coming here has come. It may have
// left again by then.
func (h *Host) landed(ctx context.Context, id ID) error {
	h.mu.Lock()
	a, p := h.arriving[id], h.processes[id]
	_, left := h.departed[id]
	h.mu.Unlock()
	switch {
	case p != nil, a == nil && left:
		return nil
	case a == nil:
		return fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, id, h.node.ID())
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
