package tasklet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// A Tasklet is a handle on a running program, wherever it runs. It survives
// any number of moves. It is safe for concurrent use.
//
// The peer that started a tasklet can do everything with it, wherever it is, and
// its host while it is there. Any other peer can find it and wait for it, see
// [Host.Open].
type Tasklet struct {
	id   ID
	host *Host
}

// A State says what a tasklet is doing.
type State string

// The states of a tasklet.
const (
	Running   State = "running"
	Suspended State = "suspended" // on its host's disk
	Moving    State = "moving"    // from here to another peer
	Prepared  State = "prepared"  // here, and its source has not said whether it keeps it
	Exited    State = "exited"    // or was killed
	Unknown   State = "unknown"   // its host does not answer
)

// Info tells of a tasklet.
type Info struct {
	ID       ID        `json:"id"`
	Program  string    `json:"program,omitempty"`  // CID
	Args     []string  `json:"args,omitempty"`     // the first is the program's name
	Function string    `json:"function,omitempty"` // in place of a program: its name
	Origin   string    `json:"origin"`             // peer that started it
	Host     string    `json:"host"`               // peer that has it, as far as this one knows
	State    State     `json:"state"`
	Status   int       `json:"status"` // exit status, if it exited; of a function, 0 if it returned nil, 1 an error, 2 if it panicked
	Error    string    `json:"error,omitempty"`
	Started  time.Time `json:"started"`
	Moves    []Hop     `json:"moves,omitempty"` // the latest 16, oldest first
}

// A Hop is one move of a tasklet.
type Hop struct {
	From   string        `json:"from"`   // peer
	To     string        `json:"to"`     // peer
	Bytes  uint64        `json:"bytes"`  // of memory, beyond what the program starts with
	New    uint64        `json:"new"`    // bytes of memory that the destination did not have
	Sent   uint64        `json:"sent"`   // bytes that went over the network, compressed
	Frozen time.Duration `json:"frozen"` // how long the program stood still, in nanoseconds
}

// ID returns the tasklet's ID.
func (t *Tasklet) ID() ID { return t.id }

// lookup returns what this peer has of the tasklet.
func (t *Tasklet) lookup() (*process, *record) {
	t.host.mu.Lock()
	defer t.host.mu.Unlock()
	return t.host.processes[t.id], t.host.started[t.id]
}

// lastSeen returns where the tasklet of r is, as far as this peer knows.
func (h *Host) lastSeen(r *record) p2p.ID {
	where := r.at()
	h.mu.Lock()
	defer h.mu.Unlock()
	if d, left := h.departed[r.id]; left && where == h.node.ID() {
		return d.to // it has just left, and r has not heard of it
	}
	return where
}

// Info tells what this peer knows of the tasklet.
func (t *Tasklet) Info() Info {
	p, r := t.lookup()
	switch {
	case r != nil:
		i := r.info()
		i.Host = t.host.lastSeen(r).String()
		if p != nil && (i.State == Running || i.State == Suspended) && i.Host == t.host.self {
			i.State, i.Error = p.info().State, p.info().Error
		}
		return i
	case p != nil:
		return p.info()
	}
	if i, ok := t.host.waiting(t.id); ok {
		return i
	}
	return Info{ID: t.id, State: Unknown}
}

// Where returns the ID of the peer that hosts the tasklet, or that hosted it
// when it exited.
func (t *Tasklet) Where(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i := t.Info()
	if p, r := t.lookup(); p == nil && r == nil && i.Host == "" {
		if where, err := t.host.seek(ctx, t.id); err == nil {
			return where.String(), nil
		}
	}
	if i.Host == "" {
		return "", fmt.Errorf("tasklet: where is %s: %w: it has left this peer", t.id, ErrNotFound)
	}
	return i.Host, nil
}

// Move moves the tasklet to a peer, and returns when it runs there. The peer is
// given by its ID, its name, or the beginning of its ID, see dht.DHT.Lookup.
//
// When ctx ends before the tasklet was handed over, the move is given up. After
// an error the tasklet goes on where it was, with one exception:
// [ErrUnconfirmed] says that it was handed over, and that the destination did
// not answer any more.
//
// Other errors wrap [ErrRefused] if the peer does not accept the tasklet,
// [ErrSelf] if it is there already, [ErrExited] if it has exited, or are those
// of a peer that is not found, or cannot be reached.
func (t *Tasklet) Move(ctx context.Context, peer string) error {
	to, err := t.host.table.Lookup(ctx, peer)
	if err != nil {
		return fmt.Errorf("tasklet: move %s: %w", t.id, err)
	}
	if err := t.control(ctx, control{ID: t.id, Move: to.String()}); err != nil {
		return fmt.Errorf("tasklet: move %s to peer %s: %w", t.id, to, err)
	}
	return nil
}

// Kill ends the tasklet, wherever it runs, and returns when it has ended. The
// error wraps [ErrExited] if it ended before.
func (t *Tasklet) Kill(ctx context.Context) error {
	if err := t.control(ctx, control{ID: t.id, Kill: true}); err != nil {
		return fmt.Errorf("tasklet: kill %s: %w", t.id, err)
	}
	return nil
}

// maxForwards bounds how often a tasklet is followed from host to host.
const maxForwards = 64

// control asks the tasklet's host, here or elsewhere.
func (t *Tasklet) control(ctx context.Context, q control) error {
	h := t.host
	if !h.enter() {
		return ErrClosed
	}
	defer h.wg.Done()
	var where p2p.ID
	for range maxForwards {
		p, r := t.lookup()
		if p != nil && (where == "" || where == h.node.ID()) {
			err := h.act(ctx, p, &q)
			var moved *movedError
			if !errors.As(err, &moved) {
				return err
			}
			where = moved.to
			continue
		}
		switch {
		case r == nil:
			return fmt.Errorf("%w: it has left this peer; ask the peer that started it", ErrNotFound)
		case r.exited() != nil:
			return ErrExited
		case where == "":
			where = h.lastSeen(r)
		}
		if where == h.node.ID() { // it is just coming
			if err := h.landed(ctx, t.id); err != nil {
				return err
			}
			where = ""
			continue
		}
		reply, err := h.ask(ctx, where, &q)
		if err != nil {
			return err
		}
		if reply.Moved == nil {
			return nil
		}
		if where, err = p2p.ParseID(reply.Moved.To); err != nil {
			return err
		}
		h.node.AddAddrs(where, reply.Moved.Addrs)
	}
	return fmt.Errorf("%w: it moves faster than it can be followed", ErrNotFound)
}

// Wait waits until the tasklet has exited and returns its exit status. The
// error is nil for a program that ended by itself, whatever its status, and what
// a function returned, as text if it ended at another peer. It is a
// [*CrashError] for one that crashed, with the stack trace, wraps [ErrLimit] for
// one that exceeded a limit, and [ErrKilled] for one that was killed.
func (t *Tasklet) Wait(ctx context.Context) (status int, err error) {
	p, r := t.lookup()
	switch {
	case r != nil:
		select {
		case <-r.done.done():
		case <-ctx.Done():
			return -1, ctx.Err()
		}
		return r.exited().result()
	case p != nil:
		select {
		case <-p.over.done():
		case <-ctx.Done():
			return -1, ctx.Err()
		}
		if exited, _ := p.status(); exited != nil {
			return exited.result()
		}
	}
	exited, err := t.host.await(ctx, t.id)
	if err != nil {
		return -1, fmt.Errorf("tasklet: wait for %s: %w", t.id, err)
	}
	return exited.result()
}

func (e *exit) result() (int, error) { return e.Status, e.Failure.err() }

// Output returns a reader of all that the tasklet wrote to its standard output
// and standard error, from the start, wherever it ran. At the end of what is
// there the reader returns io.EOF or, if follow is set, waits for more until
// the tasklet has exited. Closing the reader, or the end of ctx, ends a Read
// that waits.
//
// The peer that started a tasklet keeps its output, up to [MaxOutput]. On other
// peers the error wraps [ErrNotFound].
func (t *Tasklet) Output(ctx context.Context, follow bool) (io.ReadCloser, error) {
	p, r := t.lookup()
	if r != nil {
		return r.out.reader(ctx, follow), nil
	}
	who := "the peer that started it"
	if p != nil {
		who = "peer " + p.origin + ", which started it"
	}
	return nil, fmt.Errorf("tasklet: output of %s: %w: ask %s", t.id, ErrNotFound, who)
}
