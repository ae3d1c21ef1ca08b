package compiler

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed is returned by every call after [Compiler.Close].
var ErrClosed = errors.New("compiler: closed")

// A Limit is one of those on the programs that other peers bring.
type Limit string

// The limits that a [LimitError] names.
const (
	Memory Limit = "memory to compile a program" // bytes: Options.Memory
	Time   Limit = "time to compile a program"   // nanoseconds: Options.Time
	InUse  Limit = "compiled programs in use"    // bytes, of what one peer brings: Options.OfOnePeer
)

// A LimitError says which limit a program exceeds.
type LimitError struct {
	Limit Limit
	Peer  string // of InUse: who brings the programs
	Max   uint64
	Used  uint64 // of InUse: what the peer's other programs have
	Asked uint64 // of InUse: what this one needs beside
}

func (e *LimitError) Error() string {
	switch e.Limit {
	case Time:
		return fmt.Sprintf("compiler: over the limit on %s: %v", e.Limit, time.Duration(e.Max))
	case InUse:
		return fmt.Sprintf("compiler: over the limit on %s: %d bytes of peer %s; %d are in use, %d asked for", e.Limit, e.Max, e.Peer, e.Used, e.Asked)
	}
	return fmt.Sprintf("compiler: over the limit on %s: %d bytes", e.Limit, e.Max)
}
