package tasklet

import (
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
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

// validateWork checks what the tasklet says that it runs.
func (c *Continuation) validateWork() error {
	if f := c.Function; f != nil {
		if c.Program != "" || c.Memory.Size != 0 || c.State.Pages != 0 {
			return fmt.Errorf("%w: it is of a function, and of a program", ErrContinuation)
		}
		return f.validate()
	}
	if _, err := cid.Decode(c.Program); err != nil {
		return fmt.Errorf("%w: program: %w", ErrContinuation, err)
	}
	return nil
}

func (c *Continuation) validate(limit uint64) error {
	if c.Version != Version {
		return fmt.Errorf("%w: it is of version %d; this peer reads version %d", ErrContinuation, c.Version, Version)
	}
	if err := c.ID.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrContinuation, err)
	}
	if err := c.validateWork(); err != nil {
		return err
	}
	if _, err := p2p.ParseID(c.Origin); err != nil {
		return fmt.Errorf("%w: origin: %w", ErrContinuation, err)
	}
	if err := c.Memory.validate(limit); err != nil {
		return err
	}
	switch {
	case uint64(c.State.Pages)*program.PageSize != c.Memory.Size:
		return fmt.Errorf("%w: it contradicts itself about the size of its memory", ErrContinuation)
	case len(c.Unread) > 2*MaxUnread, c.UnreadAt < 0, len(c.Moves) > maxMoves:
		return fmt.Errorf("%w: over a limit", ErrContinuation)
	}
	for _, hop := range c.Moves {
		if err := hop.validate(); err != nil {
			return err
		}
	}
	if c.Claim.Origin != c.Origin {
		return fmt.Errorf("%w: claim of another origin", ErrContinuation)
	}
	return c.Claim.validate(c.ID)
}

// validate checks a move that another peer tells of.
func (m *Hop) validate() error {
	if len(m.From) > maxPeerID || len(m.To) > maxPeerID || m.Frozen < 0 {
		return fmt.Errorf("%w: move over a limit", ErrContinuation)
	}
	return nil
}
