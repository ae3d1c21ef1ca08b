package tasklet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
)

// Limits on what a tasklet says of itself, wherever it comes from.
const (
	maxCIDText  = 128       // length of a CID, in bytes
	maxArgBytes = 128 << 10 // of all arguments of a program, with 16 for each
	maxText     = 64 << 10  // length of the text of an error, in bytes
	maxReason   = 8 << 10   // length of the first line of a crash, in bytes
	maxPosition = 1 << 62   // in an output, in bytes
)

// validatePeer checks the ID of a peer.
func validatePeer(id string) error {
	if len(id) > maxPeerID {
		return fmt.Errorf("the ID of a peer has %d bytes", len(id))
	}
	_, err := p2p.ParseID(id)
	return err
}

// validateSource checks the ID of the peer that brought a tasklet, if one did.
func validateSource(id string) error {
	if id == "" {
		return nil
	}
	return validatePeer(id)
}

// validateTime checks that a time can be printed, and computed with.
func validateTime(t time.Time) error {
	if y := t.Year(); y > 2261 {
		return fmt.Errorf("the year %d", y)
	}
	_, err := t.MarshalText()
	return err
}

// validateUptime checks how long a host has been running.
func validateUptime(d time.Duration) error {
	if d < 0 || d > maxPosition {
		return fmt.Errorf("an uptime of %d ns", d)
	}
	return nil
}

// validateArgs checks the arguments of a program.
func validateArgs(args []string) error {
	size := 16 * len(args)
	for _, a := range args {
		size += len(a)
	}
	if size > maxArgBytes {
		return fmt.Errorf("arguments of %d bytes; the limit is %d", size, maxArgBytes)
	}
	return nil
}

// validate checks what a tasklet says that it runs.
func (w *spec) validate() error {
	if w.function != "" {
		if w.program != "" || len(w.args) > 0 || len(w.function) > MaxFunctionName || len(w.shape) > schemaMaxBytes {
			return fmt.Errorf("function %.40q: over a limit, or a program, too", w.function)
		}
		return nil
	}
	if len(w.program) > maxCIDText {
		return fmt.Errorf("program: a CID of %d bytes", len(w.program))
	}
	if _, err := cid.Decode(w.program); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	return validateArgs(w.args)
}

// validate checks a move that somebody tells of.
func (h *Hop) validate() error {
	if h.Frozen < 0 {
		return fmt.Errorf("a move that took %s", h.Frozen)
	}
	return errors.Join(validatePeer(h.From), validatePeer(h.To))
}

func validateHops(hops []Hop) error {
	if len(hops) > maxMoves {
		return fmt.Errorf("%d moves; the limit is %d", len(hops), maxMoves)
	}
	for i := range hops {
		if err := hops[i].validate(); err != nil {
			return fmt.Errorf("move %d: %w", i, err)
		}
	}
	return nil
}

// validate checks how a tasklet came to its end.
func (e *exit) validate() error {
	f := e.Failure
	switch {
	case f == nil:
		return nil
	case len(f.Text) > maxText, len(f.Reason) > maxReason, len(f.Stack) > maxStack:
		return errors.New("the end of a tasklet takes too many words")
	case f.Limit != nil && (len(f.Limit.Name) > maxPeerID || len(f.Limit.Peer) > maxPeerID || len(f.Limit.Of) > maxPeerID):
		return errors.New("a limit with a name over a limit")
	}
	return nil
}

// validate checks where somebody says that a tasklet went. Who has it from others
// does not tell of the move.
func (f *forward) validate() error {
	return errors.Join(validateTold(f.Hop), validatePeer(f.To))
}

// validateTold checks a move of which nothing need be known.
func validateTold(h Hop) error {
	if h == (Hop{}) {
		return nil
	}
	return h.validate()
}

// validate checks what the host of a tasklet tells of it.
func (e *event) validate() error {
	if n := len(e.Output); e.At < 0 || e.At > maxPosition-int64(n) {
		return fmt.Errorf("output of %d bytes at position %d", n, e.At)
	}
	if e.Moved != nil {
		if err := e.Moved.validate(); err != nil {
			return err
		}
	}
	if e.Exited != nil {
		return e.Exited.validate()
	}
	return nil
}

// validate checks what a peer answers.
func (r *reply) validate() error {
	var errs []error
	if r.Moved != nil {
		errs = append(errs, r.Moved.validate())
	}
	if r.Outcome == committed {
		errs = append(errs, r.Hop.validate())
	}
	if r.Exited != nil {
		errs = append(errs, r.Exited.validate())
	}
	if i := r.Info; i != nil {
		errs = append(errs, validateHops(i.Moves), validateTime(i.Started))
	}
	return errors.Join(errs...)
}

// validateID checks the ID of a tasklet which is the key of an entry.
func validateID(key string, id ID) error {
	if key != string(id) {
		return fmt.Errorf("it is of tasklet %.40q", string(id))
	}
	return id.validate()
}

// validate checks an entry, as the host reads it.
func (s *savedOutcome) validate(key string) error {
	if b, err := hex.DecodeString(key); err != nil || len(b) != len(moveID{}) {
		return fmt.Errorf("%.40q is no move", key)
	}
	if s.State > committed {
		return fmt.Errorf("outcome %d", s.State)
	}
	return errors.Join(s.ID.validate(), validatePeer(s.To), s.Hop.validate(), s.Claim.validate(s.ID), validateUptime(s.At), validateTime(s.Taken), validateSource(s.Source))
}

func (s *savedDeparture) validate(key string) error {
	return errors.Join(ID(key).validate(), validatePeer(s.To), validateTold(s.Hop), validateUptime(s.At))
}

func (s *savedOrigin) validate(key string) error {
	w := spec{program: s.Program, args: s.Args, function: s.Function}
	if s.Exit != nil {
		if err := s.Exit.validate(); err != nil {
			return err
		}
	}
	return errors.Join(ID(key).validate(), w.validate(), validatePeer(s.Where), validateHops(s.Moves), validateTime(s.Started), validateUptime(s.At))
}

func (s *checkpointEntry) validate(key string) error {
	c := &s.Cont
	if err := errors.Join(validateID(key, c.ID), validateTime(s.At), validateUptime(s.Uptime)); err != nil {
		return err
	}
	switch {
	case s.Standing < running || s.Standing > ended || s.Length < 0:
		return fmt.Errorf("phase %d, with a log of %d bytes", s.Standing, s.Length)
	case s.Standing == ended && s.Exit == nil:
		return errors.New("it has ended, and there is no end")
	case len(s.NotSaved) > maxText:
		return fmt.Errorf("an error of %d bytes", len(s.NotSaved))
	case len(s.Pages) > 64 || s.Pages != "" && !plainName(s.Pages):
		return fmt.Errorf("log %.70q", s.Pages)
	case s.Standing == prepared && s.Pages == "" && c.Function == nil:
		return errors.New("it has come, and there is no log")
	}
	if s.Exit != nil {
		if err := s.Exit.validate(); err != nil {
			return err
		}
	}
	if s.Source != "" || s.Standing == prepared || s.Standing == partial {
		if err := validatePeer(s.Source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if s.begun() {
		return c.validate(1 << 32)
	}
	return c.validateOutline()
}

// begun reports whether the tasklet has begun to run, so that all of its
// continuation counts.
func (s *checkpointEntry) begun() bool {
	return (s.Standing == running || s.Standing == suspended || s.Standing == prepared) && (s.Pages != "" || s.Cont.Function != nil)
}

// plainName reports whether a log's name is one that this package makes.
func plainName(name string) bool {
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return false
		}
	}
	return true
}
