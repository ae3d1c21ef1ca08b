package sandbox

import "errors"

var (
	// ErrExited says that the guest has come to its end.
	ErrExited = errors.New("sandbox: the guest has exited")

	// ErrState says that an instance is not in the state that the operation
	// needs: started twice, or read while it runs.
	ErrState = errors.New("sandbox: not possible in the instance's present state")

	// ErrMemory says that a guest wanted more memory than its limit.
	ErrMemory = errors.New("sandbox: out of memory")

	// ErrCPU says that a guest computed longer than its limit.
	ErrCPU = errors.New("sandbox: out of processor time")

	// ErrStack says that a guest's functions called each other so deep, in a
	// way in which no Go program does, that it took too much of the host's memory.
	ErrStack = errors.New("sandbox: out of stack")

	// ErrClosed says that the instance or the runtime was closed.
	ErrClosed = errors.New("sandbox: closed")

	// ErrBusy is wrapped, with the context's own error, by what Pause and
	// AtSafePoint return when the guest reached no safe point in time.
	ErrBusy = errors.New("sandbox: the guest reached no safe point in time")

	// ErrProtocol says that a guest broke the rules between it and its host,
	// as no program that the Go compiler made does.
	ErrProtocol = errors.New("sandbox: the guest broke the protocol with its host")

	// ErrInvalidState says that a State cannot be one of this program's.
	ErrInvalidState = errors.New("sandbox: invalid state")
)
