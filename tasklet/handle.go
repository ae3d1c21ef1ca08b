package tasklet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/internal/output"
)

// A Tasklet is a handle on a running program, wherever it runs. It survives
// any number of moves. It is safe for concurrent use.
//
// The peer that started a tasklet can do everything with it, wherever it is, its
// host while it is there, and whoever has a [Ref] of it. Any other peer can find
// it and wait for it, see [Host.Open].
type Tasklet struct {
	id   ID
	host *Host
	ref  *Ref // of a handle that was opened with it
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
	Stale     State = "stale"     // an old copy, which was here and does not run: the tasklet is elsewhere
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

	// NotSaved is why the host could not record the tasklet on its disk when it
	// last tried to. The tasklet runs. After a restart of its host it goes on from
	// an earlier record.
	NotSaved string `json:"not_saved,omitempty"`

	// Limit is the limit that Error is about, if it is about one.
	Limit *LimitError `json:"limit,omitempty"`
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
func (t *Tasklet) lookup() (*process, *originEntry) {
	t.host.mu.Lock()
	defer t.host.mu.Unlock()
	return t.host.processes[t.id], t.host.started[t.id]
}

// lastSeen returns where the tasklet of r is, as far as this peer knows.
func (h *Host) lastSeen(r *originEntry) p2p.ID {
	where := r.at()
	h.mu.Lock()
	defer h.mu.Unlock()
	if d, left := h.departed.Peek(r.id); left && where == h.node.ID() {
		return d.to // it has just left, and r has not heard of it
	}
	return where
}

// Info tells of the tasklet. The peer that started it and the one that hosts it
// say what they know, and nobody is asked; with a handle of a [Ref] the host is
// asked. Any other handle tells no more than where it is.
func (t *Tasklet) Info(ctx context.Context) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	if i, ok := t.known(); ok {
		return i, nil
	}
	if t.ref == nil {
		where, err := t.host.locate(ctx, t.id)
		if err != nil {
			return Info{}, fmt.Errorf("tasklet: info of %s: %w", t.id, err)
		}
		return Info{ID: t.id, Host: where.String(), State: Unknown}, nil
	}
	r, err := t.control(ctx, control{Info: true})
	if err == nil && r.Info == nil {
		err = errors.New("its host is of an older version, which does not tell")
	}
	if err != nil {
		return Info{}, fmt.Errorf("tasklet: info of %s: %w", t.id, err)
	}
	return *r.Info, nil
}

// known is what this peer knows of the tasklet, if it started or hosts it.
func (t *Tasklet) known() (Info, bool) {
	p, r := t.lookup()
	switch {
	case r != nil:
		i := r.info()
		i.Host = t.host.lastSeen(r).String()
		if p != nil && (i.State == Running || i.State == Suspended) && i.Host == t.host.self {
			here := p.info()
			i.State, i.Error, i.Limit, i.NotSaved = here.State, here.Error, here.Limit, here.NotSaved
		}
		if p != nil && p.state() == Stale && i.Error == "" {
			i.Error = p.info().Error
		}
		return i, true
	case p != nil:
		return p.info(), true
	}
	return t.host.waiting(t.id)
}

// Where returns the ID of the peer that hosts the tasklet, or that hosted it
// when it exited.
func (t *Tasklet) Where(ctx context.Context) (string, error) {
	i, err := t.Info(ctx)
	return i.Host, err
}

// Move moves the tasklet to a peer, and returns when it runs there. The peer is
// given by its ID, its name, or the beginning of its ID, see dht.DHT.Lookup.
//
// To a program's monotonic clock, its timers and the deadlines of its contexts,
// the time that it stood still passes, as far as both peers measured it: the
// error is at most half a second, and usually much less than the round trip
// between them. The time of day, which a program reads at its new host, is by
// that host's clock.
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
	if _, err := t.control(ctx, control{Move: to.String()}); err != nil {
		return fmt.Errorf("tasklet: move %s to peer %s: %w", t.id, to, err)
	}
	return nil
}

// Kill ends the tasklet, wherever it runs, and returns when it has ended. The
// error wraps [ErrExited] if it ended before.
func (t *Tasklet) Kill(ctx context.Context) error {
	if _, err := t.control(ctx, control{Kill: true}); err != nil {
		return fmt.Errorf("tasklet: kill %s: %w", t.id, err)
	}
	return nil
}

// Wait waits until the tasklet has exited and returns its exit status. The
// error is nil for a program that ended by itself, whatever its status, and what
// a function returned, as text if it ended at another peer. It is a
// [*CrashError] for one that crashed, with the stack trace, wraps [ErrLimit] for
// one that exceeded a limit, and [ErrKilled] for one that was killed.
//
// At a peer that did not start the tasklet, Wait also gives up when nobody who has
// it could be reached for a minute: its host may have been started again.
func (t *Tasklet) Wait(ctx context.Context) (status int, err error) {
	if _, r := t.lookup(); r != nil {
		select {
		case <-r.done.done():
		case <-ctx.Done():
			return -1, ctx.Err()
		}
		return r.exited().result()
	}
	reply, err := t.control(ctx, control{Wait: true})
	if err != nil {
		return -1, fmt.Errorf("tasklet: wait for %s: %w", t.id, err)
	}
	return reply.Exited.result()
}

func (e *exit) result() (int, error) { return e.Status, e.Failure.err() }

// Output returns a reader of all that the tasklet wrote to its standard output
// and standard error, from the start, wherever it ran. At the end of what is
// there the reader returns io.EOF or, if follow is set, waits for more until
// the tasklet has exited. Closing the reader, or the end of ctx, ends a Read
// that waits.
//
// The peer that started a tasklet keeps its output, up to [MaxOutput], and is
// asked for it if this handle is that of a [Ref]. When it is gone, so is the
// output, and the error says so. With any other handle the error wraps
// [ErrNotFound].
func (t *Tasklet) Output(ctx context.Context, follow bool) (io.ReadCloser, error) {
	p, r := t.lookup()
	if r != nil {
		return output.NewReader(ctx, output.Local{Buffer: r.out, Follow: follow}), nil
	}
	if t.ref != nil {
		return t.remoteOutput(ctx, follow)
	}
	who := "the peer that started it"
	if p != nil {
		who = "peer " + p.origin + ", which started it"
	}
	return nil, fmt.Errorf("tasklet: output of %s: %w: ask %s, or open a Ref of it", t.id, ErrNotFound, who)
}
