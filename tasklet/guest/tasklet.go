package guest

import (
	"context"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// A Ref is a handle on a tasklet as a value. Whoever receives one over a channel,
// here or as a tasklet.Ref at a peer, has all rights to the tasklet: see there.
type Ref struct {
	ID     string
	Origin string // ID of the peer that started the tasklet
	Key    [32]byte
}

// Self returns a handle on the tasklet that the program is, for others.
func Self(ctx context.Context) (Ref, error) {
	body, err := host.call(ctx, abi.KindRef, nil)
	if err != nil {
		return Ref{}, fmt.Errorf("guest: self: %w", err)
	}
	r, err := abi.ParseRef(body)
	if err != nil {
		return Ref{}, fmt.Errorf("guest: self: %w", err)
	}
	return Ref(r), nil
}

// Open returns a handle on the tasklet, wherever it is. The error wraps
// [ErrNotFound] if nobody who can be reached has the tasklet, and [ErrRefused] if
// the key is not the tasklet's, or the tasklet is this program itself.
func (r Ref) Open(ctx context.Context) (*Tasklet, error) {
	t := &Tasklet{r}
	if _, err := t.Info(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// A Tasklet is a handle on another tasklet, wherever it and this program are. It
// is a value, which goes along when the program moves, and safe for concurrent
// use. At most 256 of its methods can be under way in a program, of all handles
// together; more return [ErrLimit].
//
// What is under way when this program is moved or suspended is given up, and
// asked for again where the program goes on. So if the first had been done
// already, Move may return [ErrSelf], and Kill [ErrExited]. When ctx ends first, it
// is given up unless it can no longer be.
type Tasklet struct{ ref Ref }

// An Info tells of a tasklet.
type Info struct {
	ID       string
	Program  string   // CID
	Args     []string // the first is the program's name
	Function string   // in place of a program: its name
	Origin   string   // ID of the peer that started it
	Host     string   // ID of the peer that has it
	State    string   // such as "running", "suspended" or "exited": see tasklet.State
	Status   int      // exit status, if it exited
	Error    string   // why it ended, if it did not by itself
	Started  time.Time
}

// ID returns the tasklet's ID.
func (t *Tasklet) ID() string { return t.ref.ID }

// Ref returns the handle as a value that can be sent.
func (t *Tasklet) Ref() Ref { return t.ref }

// Info asks the tasklet's host what it does.
func (t *Tasklet) Info(ctx context.Context) (Info, error) {
	a, err := t.ask(ctx, "info", abi.KindInfo, "")
	if err == nil && a.Info == nil {
		err = fmt.Errorf("guest: info of %s: %w", t.ref.ID, abi.ErrMalformed)
	}
	if err != nil {
		return Info{}, err
	}
	return Info(*a.Info), nil
}

// Where returns the ID of the peer that hosts the tasklet, or that hosted it when
// it exited.
func (t *Tasklet) Where(ctx context.Context) (string, error) {
	i, err := t.Info(ctx)
	return i.Host, err
}

// Move moves the tasklet to a peer, as [Move] does this program, and returns when
// it runs there.
func (t *Tasklet) Move(ctx context.Context, peer string) error {
	_, err := t.ask(ctx, "move", abi.KindSteer, peer)
	return err
}

// Kill ends the tasklet and returns when it has ended.
func (t *Tasklet) Kill(ctx context.Context) error {
	_, err := t.ask(ctx, "kill", abi.KindKill, "")
	return err
}

// Suspend stops the tasklet and puts it on its host's disk.
func (t *Tasklet) Suspend(ctx context.Context) error {
	_, err := t.ask(ctx, "suspend", abi.KindSuspend, "")
	return err
}

// Resume makes a suspended tasklet go on.
func (t *Tasklet) Resume(ctx context.Context) error {
	_, err := t.ask(ctx, "resume", abi.KindResume, "")
	return err
}

// Wait waits until the tasklet has exited and returns its exit status. The error
// is nil for a program that ended by itself, whatever its status, is a
// [*CrashError] for one that crashed, and wraps [ErrLimit] or [ErrKilled] for one
// that was ended.
func (t *Tasklet) Wait(ctx context.Context) (status int, err error) {
	a, err := t.ask(ctx, "wait for", abi.KindWait, "")
	if a == nil {
		return -1, err
	}
	return a.Status, err
}

// ask asks the host. There is an answer if it answered, also with an error.
func (t *Tasklet) ask(ctx context.Context, what string, kind abi.Kind, peer string) (*abi.Answer, error) {
	if len(peer) > abi.MaxString || len(t.ref.ID) > abi.MaxString || len(t.ref.Origin) > abi.MaxString {
		return nil, fmt.Errorf("guest: %s: over %d bytes", what, abi.MaxString)
	}
	var a abi.Answer
	body, err := host.call(ctx, kind, abi.AppendHandle(nil, abi.Ref(t.ref), peer))
	if err == nil {
		err = codec.Unmarshal(body, &a)
	}
	if err != nil {
		return nil, fmt.Errorf("guest: %s %s: %w", what, t.ref.ID, err)
	}
	if err := errorOf(a.Failure); err != nil {
		return &a, fmt.Errorf("guest: %s %s: %w", what, t.ref.ID, err)
	}
	return &a, nil
}
