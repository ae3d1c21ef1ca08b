package tasklet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/journal"
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
	state     moveState
	id        ID
	to        p2p.ID
	hop       Hop // as far as it was known when the tasklet was given up
	claim     Claim
	at        time.Time
	confirmed bool // the destination has it, and knows that it may run it
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
			return false, err
		}
	}
	h.note(m.id, outcome{state: aborted, id: p.id, to: to, at: time.Now()})
	if stuck := m.undo(); stuck != nil {
		p.engine.kill(stuck)
	}
	again = ctx.Err() == nil && !errors.Is(err, sandbox.ErrBusy) && !errors.As(err, new(*remoteError))
	err = p.stays(ctx, err)
	return again && !errors.Is(err, ErrExited), err
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

func (h *Host) note(id moveID, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moves[id] = o
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
	hop     Hop
}

// give sends memory in rounds, and the rest when the program has stopped.
func (g *guest) give(ctx context.Context, m *move) error {
	h, p, c := m.host, m.process, m.conn
	c.within(stepTimeout)
	o := offer{ID: p.id, Move: m.id, Program: p.program, Origin: p.origin, Args: p.args}
	if err := g.inst.AtSafePoint(ctx, func(memory []byte) { o.Memory = uint64(len(memory)) }); err != nil {
		return err
	}
	if err := c.send(tagOffer, &o); err != nil {
		return err
	}
	if _, err := c.expect(tagWelcome, 0); err != nil {
		return err
	}
	h.reached("offer")
	c.within(fetchTimeout + stepTimeout)
	asks, err := c.expect(tagReady, 1)
	if err != nil {
		return err
	}
	h.reached("prefetch")
	if err := g.precopy(ctx, m, len(asks) > 0); err != nil {
		return err
	}
	h.reached("freeze")
	return g.freeze(ctx, m)
}

// precopy sends memory while the tasklet runs, until little is new or it does
// not get less. The destination may have asked what the pages are.
func (g *guest) precopy(ctx context.Context, m *move, asked bool) error {
	last, stalls := uint64(1<<63), 0
	for round := range maxRounds {
		before := m.hop.New
		var err error
		switch {
		case round > 0:
			err = g.flow(ctx, m, nil)
		case asked:
			err = g.compare(ctx, m)
		default:
			err = g.flow(ctx, m, g.book.all())
		}
		if err != nil {
			return err
		}
		m.host.reached("pages")
		sent := m.hop.New - before
		if sent > last/10*9 {
			stalls++
		}
		if sent <= enough || stalls == maxStalls {
			return nil
		}
		last = min(last, sent)
	}
	return nil
}

// compare sends what the destination does not have, after it was told what there
// is.
func (g *guest) compare(ctx context.Context, m *move) error {
	_, snap, err := g.changes(ctx)
	if err != nil {
		return err
	}
	list := g.book.list(g.book.all(), snap.Page)
	m.conn.within(stepTimeout)
	if err := m.send(tagPages, list); err != nil {
		return err
	}
	need, err := m.conn.expect(tagNeed, len(list.Index)/8+1)
	if err != nil {
		return err
	}
	if len(need) != (len(list.Index)+7)/8 {
		return fmt.Errorf("tasklet: list of missing pages: %w", codec.ErrMalformed)
	}
	var missing []uint32
	for n, i := range list.Index {
		if bit(need, n) {
			missing = append(missing, i)
		}
	}
	return m.sendPages(missing, snap)
}

// flow sends what changed while it is being found, and at last what is left of
// other pages.
func (g *guest) flow(ctx context.Context, m *move, others []uint32) error {
	snap, err := g.inst.Snapshot()
	if err != nil {
		return err
	}
	lists := make(chan *PageList, ahead)
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(lists)
		tell := func(list *PageList) error {
			select {
			case lists <- list:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var told []uint32
		_, err := g.refresh(ctx, func(list *PageList) error {
			if len(others) > 0 {
				told = append(told, list.Index...)
			}
			return tell(list)
		})
		if err != nil {
			return err
		}
		slices.Sort(told)
		for some := range slices.Chunk(without(others, told), listed) {
			if err := tell(&PageList{Size: g.book.size, Index: some}); err != nil {
				return err
			}
		}
		return nil
	})
	both.Go(func() error {
		for list := range lists {
			m.conn.within(stepTimeout)
			if err := m.send(tagPages, list); err != nil {
				return err
			}
			if err := m.sendPages(list.Index, snap); err != nil {
				return err
			}
		}
		return nil
	})
	return both.Wait()
}

// send sends a message to a destination that may have said that it gives up.
func (m *move) send(t tag, v any) error {
	err := m.conn.send(t, v)
	if err != nil {
		err = m.conn.told(err)
	}
	return err
}

// without returns all but some, both of which are in order.
func without(all, some []uint32) (left []uint32) {
	for _, i := range all {
		for len(some) > 0 && some[0] < i {
			some = some[1:]
		}
		if len(some) == 0 || some[0] != i {
			left = append(left, i)
		}
	}
	return left
}

// freeze stops the tasklet and sends what is left.
func (g *guest) freeze(ctx context.Context, m *move) error {
	h, c := m.host, m.conn
	m.froze = time.Now()
	if err := g.pause(ctx); err != nil {
		return err
	}
	m.paused = true
	g.withdraw(false)
	cont, list, snap, err := g.continuation(ctx)
	if err != nil {
		return err
	}
	cont.Memory, cont.Mover = *list, m.mover
	m.hop.From, m.hop.To = h.self, m.to.String()
	m.hop.Bytes = uint64(g.book.differ) * pageSize
	c.within(stepTimeout)
	if err := m.send(tagFrozen, cont); err != nil {
		return err
	}
	if err := m.sendPages(list.Index, snap); err != nil {
		return err
	}
	h.reached("prepare")
	c.within(stepTimeout)
	if _, err = c.expect(tagPrepared, 0); err != nil {
		return err
	}
	h.reached("prepared")
	return nil
}

// given puts pages of a memory that leaves in the cache, for its return.
func (g *guest) given() {
	snap, err := g.inst.Snapshot()
	if err != nil {
		return
	}
	pages := g.book.all()
	pages = pages[:min(len(pages), maxKept)]
	g.book.name(pages, snap.Page)
	for _, i := range pages {
		if hash := g.book.hashes[i]; !g.host.pages.Contains(hash) {
			g.host.pages.Add(hash, slices.Clone(snap.Page(i)))
		}
	}
}

// undo makes the tasklet go on here.
func (m *move) undo() error {
	if !m.paused {
		return nil
	}
	return m.process.engine.goOn()
}

// commit gives the tasklet up. If that could not be recorded, it is not given
// up, and the move is to be undone.
func (m *move) commit() (given bool, err error) {
	h, p := m.host, m.process
	m.hop.Frozen, m.hop.Sent = time.Since(m.froze), m.conn.sent
	o := outcome{state: committed, id: p.id, to: m.to, hop: m.hop, at: time.Now()}
	o.claim = *h.pass(p.id, &p.claim, m.to)
	d := departure{to: m.to, hop: m.hop, at: o.at}
	if err := h.saveCommit(m, o, d); err != nil {
		return false, err
	}
	h.note(m.id, o)
	h.reached("commit")
	m.conn.within(stepTimeout)
	err = m.conn.send(tagCommit, &commit{m.hop, o.claim})
	if err == nil {
		_, err = m.conn.expect(tagRunning, 0)
	}
	m.hop.Frozen = time.Since(m.froze)
	m.hop.Sent = m.conn.sent
	if err != nil {
		h.reached("confirm")
		err = h.confirm(m)
	}
	d.hop = m.hop
	p.mu.Lock()
	p.left = &d
	p.mu.Unlock()
	h.mu.Lock()
	h.departed[p.id] = d
	if h.processes[p.id] == p {
		delete(h.processes, p.id)
	}
	h.mu.Unlock()
	p.leave()
	p.engine.given()
	p.engine.unload()
	if err == nil {
		h.confirmed(m.id)
	}
	h.reached("forward")
	h.log.Info("tasklet moved away", "tasklet", p.id, "to", m.to, "bytes", m.hop.Bytes, "new", m.hop.New, "frozen", m.hop.Frozen)
	return true, err
}

// saveCommit notes on disk that the tasklet is given up.
func (h *Host) saveCommit(m *move, o outcome, d departure) error {
	id := string(m.process.id)
	err := h.update(func(tx *journal.Tx) error {
		return errors.Join(
			tx.Delete(tableHosted, id),
			h.saveOutcome(tx, m.id, o),
			put(tx, tableDeparted, id, &savedDeparture{d.to.String(), d.hop, d.at}),
		)
	})
	if saved := m.process.saved; err == nil && saved != nil && saved.Pages != "" {
		if err := h.disk.Remove(saved.Pages); err != nil {
			h.log.Warn("the log of a tasklet that left could not be removed", "error", err)
		}
	}
	return err
}

// confirmed notes that the destination knows of the commit, so that the outcome
// may be forgotten one day.
func (h *Host) confirmed(id moveID) {
	h.mu.Lock()
	o := h.moves[id]
	o.confirmed = true
	h.moves[id] = o
	h.mu.Unlock()
	if err := h.update(func(tx *journal.Tx) error { return h.saveOutcome(tx, id, o) }); err != nil {
		h.log.Warn("the end of a move could not be recorded; it will be asked for again", "error", err)
	}
}

// confirm asks the destination, after the link broke, whether the tasklet runs.
func (h *Host) confirm(m *move) error {
	ctx, cancel := context.WithTimeout(h.ctx, confirmTimeout)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := h.ask(ctx, m.to, &control{ID: m.process.id, Confirm: m.id})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w: peer %s: %w", ErrUnconfirmed, m.to, err)
		}
	}
}

// confirmAll asks the destinations of moves that broke off after the commit
// whether they know of it.
func (h *Host) confirmAll() {
	h.mu.Lock()
	open := map[moveID]outcome{}
	for id, o := range h.moves {
		if o.state == committed && !o.confirmed && time.Since(o.at) > confirmTimeout+stepTimeout {
			open[id] = o
		}
	}
	h.mu.Unlock()
	for id, o := range open {
		ctx, cancel := context.WithTimeout(h.ctx, confirmTimeout)
		_, err := h.ask(ctx, o.to, &control{ID: o.id, Confirm: id})
		cancel()
		if err == nil {
			h.confirmed(id)
		}
	}
}
