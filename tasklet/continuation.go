package tasklet

import (
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// Version is the version of the [Continuation] that this package writes, and
// the only one that it reads.
const Version = 1

// A Continuation is a tasklet that does not run: all that another peer needs
// to carry it on, but for the program and the pages of memory, which it names
// by their hashes. It holds nothing of the host that made it.
type Continuation struct {
	Version int
	ID      ID
	Program string // CID
	Origin  string // ID of the peer that started it
	Started time.Time

	// State is what the program was in the middle of: registers, clock,
	// arguments, operations under way and answers not yet read.
	State sandbox.State
	// Memory lists the pages that changed since the last list of the move;
	// without one, those that differ from the program's own.
	Memory PageList
	// Mover is the number of the program's own call, if one, that made it
	// move.
	Mover uint64

	// Function is, for the tasklet of a function, its name and state. There is
	// nothing then in Program, State, Memory and Mover.
	Function *FunctionState

	// Unread is the output that the peer which started it has not read, and
	// UnreadAt its position.
	Unread   []byte
	UnreadAt int64

	// Claim says that the peer which gives the tasklet away has it.
	Claim Claim

	// Key is what a [Ref] of the tasklet shows that it has. There is none if the
	// tasklet was started by a peer of an older version: it has no Ref.
	Key Key

	// Moves are the latest moves before this one.
	Moves []Hop
}

// maxMoves is how many moves a tasklet remembers.
const maxMoves = 16

// maxState bounds the encoded size of a continuation beside its page list:
// operations and answers under way, and unread output.
const maxState = 2*sandbox.MaxCallBytes + 2*MaxUnread

// maxEncoded is the size of the largest continuation with a memory of limit
// bytes.
func maxEncoded(limit uint64) int {
	return maxState + int(limit/pageSize)*(len(pageHash{})+5)
}

// decodeContinuation decodes and checks a continuation from another peer. Its
// memory may have limit bytes.
func decodeContinuation(data []byte, limit uint64) (*Continuation, error) {
	var c Continuation
	if err := codec.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	return &c, c.validate(limit)
}

// validate checks a continuation: of a peer that brings one, of one that is about
// to be sent or to be written to disk, and of one that is read from there. Its
// memory may have limit bytes.
func (c *Continuation) validate(limit uint64) error {
	if c.Version != Version {
		return fmt.Errorf("%w: it is of version %d; this peer reads version %d", ErrContinuation, c.Version, Version)
	}
	if err := c.validateOutline(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	if c.Claim.Origin != c.Origin {
		return fmt.Errorf("%w: claim of another origin", ErrContinuation)
	}
	if err := c.Claim.validate(c.ID); err != nil {
		return err
	}
	if f := c.Function; f != nil {
		if c.Memory.Size != 0 || c.State.Pages != 0 {
			return fmt.Errorf("%w: it is of a function, and of a program", ErrContinuation)
		}
		return f.validate()
	}
	if err := c.Memory.validate(limit); err != nil {
		return err
	}
	if uint64(c.State.Pages)*program.PageSize != c.Memory.Size {
		return fmt.Errorf("%w: it contradicts itself about the size of its memory", ErrContinuation)
	}
	if err := c.State.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	return nil
}

// size returns how many bytes of memory the tasklet has.
func (c *Continuation) size() uint64 {
	if c.Function != nil {
		return c.Function.size()
	}
	return c.Memory.Size
}

// validateOutline checks the part that each tasklet has, see process.outline.
func (c *Continuation) validateOutline() error {
	w := c.spec()
	if err := errors.Join(c.ID.validate(), w.validate(), validateHops(c.Moves)); err != nil {
		return err
	}
	if err := validatePeer(c.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if err := validateTime(c.Started); err != nil {
		return fmt.Errorf("it was started in %w", err)
	}
	if n := len(c.Unread); n > 2*MaxUnread || c.UnreadAt < 0 || c.UnreadAt > maxPosition-int64(n) {
		return fmt.Errorf("output of %d bytes at position %d", n, c.UnreadAt)
	}
	return nil
}
