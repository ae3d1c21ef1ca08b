package tasklet

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/p2p"
)

// A Ref is a handle as a value: it can be sent over a channel, alone or inside
// other values, and whoever receives it can open it without having had anything
// to do with the tasklet. To hand out a Ref is to hand out all rights to the
// tasklet, for as long as it lives; an [ID] alone gives none, see [Host.Open].
//
// A Ref has the same fields as guest.Ref, and each is received as the other.
type Ref struct {
	ID     ID
	Origin string // ID of the peer that started the tasklet
	Key    Key
}

// An Opener is a peer at which a [Ref] can be opened: a [Host], a
// *dstackless.Peer, or the [Self] of a function.
type Opener interface {
	// OpenRef is what [Ref.Open] does.
	OpenRef(ctx context.Context, r Ref) (*Tasklet, error)
}

// Open returns a handle on the tasklet, with which everything can be done at any
// peer: moving, suspending, killing and waiting for it, and reading its output,
// wherever it is. It finds the tasklet by way of the peer that started it, or, if
// that is gone, in the DHT, also when all former hosts are gone. A function that
// was never moved is only where it was started.
//
// The error wraps [ErrNotFound] if nobody who can be reached has the tasklet, and
// [ErrRefused] if its host says that the key is not the tasklet's.
func (r Ref) Open(ctx context.Context, at Opener) (*Tasklet, error) { return at.OpenRef(ctx, r) }

// validate checks a Ref that came from elsewhere.
func (r *Ref) validate() error {
	if err := r.ID.validate(); err != nil {
		return err
	}
	if _, err := p2p.ParseID(r.Origin); err != nil {
		return fmt.Errorf("the peer that started it: %w", err)
	}
	return nil
}

// OpenRef implements [Opener]; use [Ref.Open].
func (h *Host) OpenRef(ctx context.Context, r Ref) (*Tasklet, error) {
	t, err := h.handle(r)
	if err == nil && t.key() == nil {
		_, err = t.control(ctx, control{Info: true})
	}
	if err != nil {
		return nil, fmt.Errorf("tasklet: open %s: %w", r.ID, err)
	}
	return t, nil
}

// handle returns a handle of a Ref, which is checked as far as this peer can. All
// that it is used for is.
func (h *Host) handle(r Ref) (*Tasklet, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	t := &Tasklet{id: r.ID, host: h, ref: &r}
	if key := t.key(); key != nil && !key.is(&r.Key) {
		return nil, errKey
	}
	return t, nil
}

var errKey = fmt.Errorf("%w: the key is not the tasklet's", ErrRefused)

// key returns the key of the tasklet if this peer started or hosts it.
func (t *Tasklet) key() *Key {
	switch p, r := t.lookup(); {
	case r != nil:
		return &r.key
	case p != nil:
		return &p.key
	}
	return nil
}

// Ref returns the handle as a value that can be sent. The peer that started the
// tasklet can make one, one that hosts it, and one that has opened one. Otherwise
// the error wraps [ErrNotFound].
func (t *Tasklet) Ref() (Ref, error) {
	if t.ref != nil {
		return *t.ref, nil
	}
	switch p, r := t.lookup(); {
	case r != nil:
		return refOf(t.id, t.host.self, r.key)
	case p != nil:
		return refOf(t.id, p.origin, p.key)
	}
	return Ref{}, fmt.Errorf("tasklet: ref of %s: %w: this peer neither started nor hosts it", t.id, ErrNotFound)
}

func refOf(id ID, origin string, key Key) (Ref, error) {
	if key == (Key{}) {
		return Ref{}, fmt.Errorf("tasklet: ref of %s: %w", id, errNoKey)
	}
	return Ref{id, origin, key}, nil
}

// Ref returns a handle on the tasklet itself, which it can send to others.
func (s *Self) Ref() (Ref, error) {
	return refOf(s.routine.id, s.routine.origin, s.routine.key)
}

// OpenRef implements [Opener]; use [Ref.Open]. The handle is for as long as the
// tasklet is at this peer; the Ref can be a part of its state. A tasklet gets none
// on itself.
func (s *Self) OpenRef(ctx context.Context, r Ref) (*Tasklet, error) {
	if r.ID == s.routine.id {
		return nil, fmt.Errorf("tasklet: open %s: %w", r.ID, errOwn)
	}
	return s.routine.host.OpenRef(ctx, r)
}

// errOwn is said to a tasklet that opens its own Ref: it would wait for itself.
var errOwn = fmt.Errorf("%w: it is the tasklet's own, which moves itself with Move, and ends by returning", ErrRefused)
