package tasklet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/codec"
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
	state moveState
	to    p2p.ID
	at    time.Time
}

const (
	// maxRounds is how often memory is sent while the tasklet still runs.
	maxRounds = 4
	// enough is how many bytes of new pages are few enough to stop at.
	enough = 256 << 10
	// freezeTimeout is how long a busy program may take to a safe point.
	freezeTimeout = 10 * time.Second
	// confirmTimeout is how long the source asks whether a tasklet that it
	// gave up runs, when the link broke.
	confirmTimeout = 10 * time.Second
)

// dial opens a stream to another host of tasklets.
func (h *Host) dial(ctx context.Context, to p2p.ID) (*conn, error) {
	s, err := h.node.Open(ctx, to, Protocol)
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
//	prepare  the destination has everything, and does not run it
//	commit   this peer notes that it has given the tasklet up, and says so
//
// Until the commit is noted, an error makes the tasklet go on here. From then
// on it is the destination's; one that does not hear of it asks. Mover is the
// number of the program's own call that asked for the move, or 0.
func (h *Host) depart(ctx context.Context, p *process, to p2p.ID, mover uint64) error {
	if to == h.node.ID() {
		return fmt.Errorf("%w: peer %s", ErrSelf, to)
	}
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	p.mu.Lock()
	p.abort = cancel
	p.mu.Unlock()

	m := &move{host: h, process: p, to: to, mover: mover}
	rand.Read(m.id[:])
	var err error
	if m.conn, err = h.dial(ctx, to); err != nil {
		return err
	}
	defer m.conn.stream.Reset()
	interrupt := context.AfterFunc(ctx, func() { m.conn.stream.Reset() })
	defer interrupt()

	h.note(m.id, outcome{state: undecided, to: to})
	if err := m.prepare(ctx); err != nil || !interrupt() {
		h.note(m.id, outcome{state: aborted, to: to, at: time.Now()})
		if stuck := m.undo(); stuck != nil {
			p.inst.Kill(stuck)
		}
		switch {
		case errors.Is(err, sandbox.ErrExited), errors.Is(err, sandbox.ErrClosed):
			<-p.over
			return p.gone()
		case ctx.Err() != nil:
			return fmt.Errorf("given up: %w", ctx.Err())
		case errors.As(err, new(*remoteError)):
			return err
		}
		return fmt.Errorf("it broke off, and the tasklet goes on here: %w", err)
	}
	return m.commit()
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
	before  *snapshot // of the last round
	paused  bool
	froze   time.Time
	hop     Hop
}

// prepare does all up to the destination's word that it has everything.
func (m *move) prepare(ctx context.Context) error {
	h, p, c := m.host, m.process, m.conn
	c.within(stepTimeout)
	o := offer{ID: p.id, Move: m.id, Program: p.program, Origin: p.origin, Args: p.args}
	if err := p.inst.AtSafePoint(ctx, func(memory []byte) { o.Memory = uint64(len(memory)) }); err != nil {
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
	if _, err := c.expect(tagReady, 0); err != nil {
		return err
	}
	h.reached("prefetch")
	if err := m.precopy(ctx); err != nil {
		return err
	}
	h.reached("freeze")
	return m.freeze(ctx)
}

// precopy sends memory while the tasklet runs, until little is new or it does
// not get less.
func (m *move) precopy(ctx context.Context) error {
	last := uint64(1 << 63)
	for range maxRounds {
		var memory []byte
		err := m.process.inst.AtSafePoint(ctx, func(now []byte) { memory = append(memory, now...) })
		if err != nil {
			return err
		}
		m.before = shoot(m.image(), memory, m.before)
		m.conn.within(stepTimeout)
		if err := m.conn.send(tagPages, &m.before.list); err != nil {
			return err
		}
		sent, err := m.transfer(m.before)
		if err != nil {
			return err
		}
		if sent <= enough || sent > last/2 {
			return nil
		}
		last = sent
	}
	return nil
}

// image is the memory that the destination has with the program.
func (m *move) image() []byte { return m.process.code.Program().Image() }

// transfer sends what the destination lacks of a snapshot whose list it got.
func (m *move) transfer(s *snapshot) (uint64, error) {
	need, err := m.conn.expect(tagNeed, len(s.list.Index)/8+1)
	if err != nil {
		return 0, err
	}
	if len(need) != (len(s.list.Index)+7)/8 {
		return 0, fmt.Errorf("tasklet: list of missing pages: %w", codec.ErrMalformed)
	}
	n, err := m.conn.sendPages(s, need)
	m.hop.New += n
	return n, err
}

// freeze stops the tasklet and sends what is left.
func (m *move) freeze(ctx context.Context) error {
	h, p, c := m.host, m.process, m.conn
	pausing, cancel := context.WithTimeout(ctx, freezeTimeout)
	defer cancel()
	m.froze = time.Now()
	if err := p.inst.Pause(pausing); err != nil {
		return err
	}
	m.paused = true
	p.withdraw()
	state, err := p.inst.State()
	if err != nil {
		return err
	}
	last := shoot(m.image(), p.inst.Memory(), m.before)
	cont := Continuation{
		Version: Version, ID: p.id, Program: p.program, Origin: p.origin, Started: p.started,
		State: state, Memory: last.list, Mover: m.mover, Moves: p.moves,
	}
	cont.UnreadAt, cont.Unread = p.out.tail()
	m.hop.From, m.hop.To = h.node.ID().String(), m.to.String()
	m.hop.Bytes = last.list.bytes()
	c.within(stepTimeout)
	if err := c.send(tagFrozen, &cont); err != nil {
		return err
	}
	if _, err := m.transfer(last); err != nil {
		return err
	}
	h.reached("prepare")
	c.within(stepTimeout)
	if _, err = c.expect(tagPrepared, 0); err != nil {
		return err
	}
	h.reached("prepared")
	m.keep(last)
	return nil
}

// keep puts the pages of a memory that leaves in the cache, for its return.
func (m *move) keep(s *snapshot) {
	for n := range min(len(s.list.Index), pageCache/4) {
		hash := s.list.hash(n)
		if !m.host.pages.Contains(hash) {
			m.host.pages.Add(hash, append([]byte(nil), s.page(n)...))
		}
	}
}

// undo makes the tasklet go on here.
func (m *move) undo() error {
	if !m.paused {
		return nil
	}
	return m.process.inst.Continue()
}

// commit gives the tasklet up.
func (m *move) commit() error {
	h, p := m.host, m.process
	h.mu.Lock()
	h.moves[m.id] = outcome{state: committed, to: m.to, at: time.Now()}
	h.mu.Unlock()
	h.reached("commit")
	m.hop.Frozen, m.hop.Sent = time.Since(m.froze), m.conn.sent
	m.conn.within(stepTimeout)
	err := m.conn.send(tagCommit, &m.hop)
	if err == nil {
		_, err = m.conn.expect(tagRunning, 0)
	}
	m.hop.Frozen = time.Since(m.froze)
	m.hop.Sent = m.conn.sent
	if err != nil {
		err = h.confirm(m)
	}
	d := departure{to: m.to, hop: m.hop, at: time.Now()}
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
	p.inst.Close()
	h.log.Info("tasklet moved away", "tasklet", p.id, "to", m.to, "bytes", m.hop.Bytes, "new", m.hop.New, "frozen", m.hop.Frozen)
	return err
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
