package tasklet

import (
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/tasklet/abi"
)

var (
	// ErrKilled says that a tasklet ended because it was killed.
	ErrKilled = errors.New("killed")
	// ErrRefused says that a peer does not accept a tasklet.
	ErrRefused = errors.New("refused")
	// ErrNotFound says that no tasklet has that ID.
	ErrNotFound = errors.New("no such tasklet")
	// ErrAmbiguous says that several tasklets' IDs begin like that.
	ErrAmbiguous = errors.New("ambiguous tasklet ID")
	// ErrExited says that the tasklet has exited.
	ErrExited = errors.New("tasklet has exited")
	// ErrSelf says that a tasklet is already at the peer it should move to.
	ErrSelf = errors.New("tasklet is already there")
	// ErrUnconfirmed says that a tasklet was handed over for good, and that
	// the peer which has it now did not answer any more.
	ErrUnconfirmed = errors.New("handed over, but not confirmed")
	// ErrProgram says that a module cannot be a tasklet.
	ErrProgram = errors.New("not a program that can be a tasklet")
	// ErrContinuation says that a continuation is not valid.
	ErrContinuation = errors.New("continuation not valid")
	// ErrSuspended says that a tasklet is suspended: it must be resumed before
	// it can be moved.
	ErrSuspended = errors.New("tasklet is suspended")
	// ErrNoDisk says that a peer has no data folder, which the operation
	// needs.
	ErrNoDisk = errors.New("the peer has no data folder")
	// ErrPrepared says that a tasklet has come from another peer which has not
	// said whether it gave the tasklet up, so that it cannot run.
	ErrPrepared = errors.New("tasklet waits for the word of the peer that it comes from")
	// ErrMoving is why the context of a function ends that will be called again:
	// it is to be moved, suspended or recorded. See [Func].
	ErrMoving = errors.New("the function is to return, and will be called again")
	// ErrParking is why the context of a function ends that will be called again
	// when it has received something. See [Self.Parking].
	ErrParking = errors.New("the function is to be parked, and will be called again")
	// ErrDraining says that a peer takes no more tasklets, because it is being
	// drained.
	ErrDraining = errors.New("the peer is being drained")
	// ErrStale says that a tasklet is an old copy of one that has gone elsewhere.
	ErrStale = errors.New("an old copy of the tasklet")
	// ErrLimit says that a tasklet exceeded a limit. [LimitOf] returns which.
	ErrLimit = errors.New("over a limit")
	// ErrClosed says that the host is shut down.
	ErrClosed = errors.New("host is closed")
)

// kinds are the errors that keep their identity between peers, and on the way to
// a program.
var kinds = []error{
	abi.FailureKilled: ErrKilled, abi.FailureRefused: ErrRefused, abi.FailureNotFound: ErrNotFound,
	abi.FailureExited: ErrExited, abi.FailureSelf: ErrSelf, abi.FailureUnconfirmed: ErrUnconfirmed,
	abi.FailureProgram: ErrProgram, abi.FailureContinuation: ErrContinuation, abi.FailureClosed: ErrClosed,
	abi.FailureSuspended: ErrSuspended, abi.FailureNoDisk: ErrNoDisk, abi.FailurePrepared: ErrPrepared,
	abi.FailureDraining: ErrDraining, abi.FailureLimit: ErrLimit,
}

// A failure is an error as it travels, made public. Its kind is an index in kinds.
type failure abi.Failure

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: clip(publicText(err), maxText), Limit: LimitOf(err).forWire()}
	if crash := (*CrashError)(nil); errors.As(err, &crash) {
		f.Reason, f.Stack, f.Text = clip(crash.Reason, maxReason), clip(crash.Stack, maxStack), ""
		if crash.Limit != nil {
			f.Text = clip(publicText(crash.Limit), maxText)
		}
	}
	for i, kind := range kinds {
		if kind != nil && errors.Is(err, kind) && (f.Kind == 0 || kind != ErrLimit) {
			f.Kind = uint8(i)
		}
	}
	return f
}

// clip returns the beginning of a text, of at most size bytes.
func clip(text string, size int) string { return text[:min(len(text), size)] }

// err is the inverse of failureOf.
func (f *failure) err() error {
	switch {
	case f == nil:
		return nil
	case f.Reason != "":
		e := &CrashError{Reason: f.Reason, Stack: f.Stack}
		if f.Text != "" {
			e.Limit = (&failure{Kind: f.Kind, Text: f.Text, Limit: f.Limit}).err()
		}
		return e
	case int(f.Kind) < len(kinds) && kinds[f.Kind] != nil:
		return &remoteError{f.Text, kinds[f.Kind], limitFrom(f.Limit)}
	}
	return errors.New(f.Text)
}

// A remoteError came from another peer.
type remoteError struct {
	text  string
	kind  error
	limit *LimitError // or nil
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() []error {
	if e.limit == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.limit}
}

// movedError tells a caller where the tasklet is that it looked for.
type movedError struct{ departure }

func (e *movedError) Error() string { return fmt.Sprintf("tasklet has moved to peer %s", e.to) }
