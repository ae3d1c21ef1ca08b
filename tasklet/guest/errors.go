package guest

import (
	"errors"

	"github.com/dstackless/dstackless/tasklet/abi"
)

// Errors of a [Tasklet], which are those of the same names in the package tasklet.
var (
	// ErrKilled says that a tasklet ended because it was killed.
	ErrKilled = errors.New("killed")
	// ErrRefused says that a peer does not accept a tasklet, or a Ref.
	ErrRefused = errors.New("refused")
	// ErrNotFound says that nobody who can be reached has the tasklet.
	ErrNotFound = errors.New("no such tasklet")
	// ErrExited says that the tasklet has exited.
	ErrExited = errors.New("tasklet has exited")
	// ErrSelf says that a tasklet is already at the peer it should move to.
	ErrSelf = errors.New("tasklet is already there")
	// ErrUnconfirmed says that a tasklet was handed over for good, and that
	// the peer which has it now did not answer any more.
	ErrUnconfirmed = errors.New("handed over, but not confirmed")
	// ErrSuspended says that a tasklet is suspended: it must be resumed before
	// it can be moved.
	ErrSuspended = errors.New("tasklet is suspended")
	// ErrNoDisk says that a peer has no data folder, which the operation
	// needs.
	ErrNoDisk = errors.New("the peer has no data folder")
	// ErrLimit says that a tasklet exceeded a limit, which the text names, or
	// that this program asks for too much at a time.
	ErrLimit = errors.New("over a limit")
)

var kinds = map[uint8]error{
	abi.FailureKilled: ErrKilled, abi.FailureRefused: ErrRefused, abi.FailureNotFound: ErrNotFound,
	abi.FailureExited: ErrExited, abi.FailureSelf: ErrSelf, abi.FailureUnconfirmed: ErrUnconfirmed,
	abi.FailureSuspended: ErrSuspended, abi.FailureNoDisk: ErrNoDisk, abi.FailureLimit: ErrLimit,
}

// A CrashError says that a tasklet crashed, as tasklet.CrashError does.
type CrashError struct {
	Reason string // the runtime's first line, such as "panic: at the disco"
	Stack  string // what the runtime wrote of it, at most 64 KiB
	Limit  error  // wraps ErrLimit if it died because it was refused memory
}

func (e *CrashError) Error() string {
	if e.Limit != nil {
		return "the program crashed: " + e.Reason + ": " + e.Limit.Error()
	}
	return "the program crashed: " + e.Reason
}

// Unwrap returns e.Limit.
func (e *CrashError) Unwrap() error { return e.Limit }

// A hostError is an error that the host told.
type hostError struct {
	text string
	kind error // or nil
}

func (e *hostError) Error() string { return e.text }
func (e *hostError) Unwrap() error { return e.kind }

// errorOf returns the error that a failure stands for.
func errorOf(f *abi.Failure) error {
	if f == nil {
		return nil
	}
	err := &hostError{f.Text, kinds[f.Kind]}
	if f.Reason == "" {
		return err
	}
	crash := &CrashError{Reason: f.Reason, Stack: f.Stack}
	if f.Text != "" {
		crash.Limit = err
	}
	return crash
}
