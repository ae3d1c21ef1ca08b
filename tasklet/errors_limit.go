package tasklet

import (
	"errors"
	"fmt"
	"time"

	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/compiler"
)

// A LimitName says what a limit bounds.
type LimitName string

// The limits of a peer, as a [LimitError] names them.
const (
	LimitMemory      LimitName = "memory"                 // bytes, of one tasklet: Limits.Memory
	LimitCPU         LimitName = "processor time"         // nanoseconds, of one tasklet: Limits.CPU
	LimitOutput      LimitName = "output"                 // bytes, of one tasklet: Limits.Output
	LimitTasklets    LimitName = "number of tasklets"     // of one other peer: Limits.Tasklets
	LimitHeld        LimitName = "bytes held"             // of all tasklets of one other peer: Limits.Continuations
	LimitState       LimitName = "state of a function"    // bytes, of one tasklet: MaxFunctionState
	LimitReceived    LimitName = "received and not taken" // bytes, of one function
	LimitPages       LimitName = "pages of a move"        // that a source sends, each as often as it does: 22 times the memory
	LimitChannels    LimitName = "open channels"          // of one program, or of all programs of one other peer
	LimitAllChannels LimitName = "open channels of all programs"
	LimitRequests    LimitName = "requests to other tasklets" // under way, of one tasklet

	LimitCompileMemory = LimitName(compiler.Memory) // bytes, of one program of another peer: compiler.ChildMemory
	LimitCompileTime   = LimitName(compiler.Time)   // nanoseconds, of one program of another peer: compiler.ChildTime
	LimitPrograms      = LimitName(compiler.InUse)  // bytes, of the programs of one other peer: compiler.OfOnePeer
)

// A LimitError says which limit of a peer a tasklet exceeded, or would have. It
// wraps [ErrLimit].
type LimitError struct {
	Limit LimitName `json:"limit"`
	Peer  string    `json:"peer"`         // ID of the peer whose limit it is
	Of    string    `json:"of,omitempty"` // ID of the peer whose tasklets are limited together; empty: one tasklet
	Max   uint64    `json:"max"`          // what is allowed
	Used  uint64    `json:"used"`         // what was in use already
	Asked uint64    `json:"asked"`        // what was asked for beyond that; 0: not known
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("%v: %s: peer %s allows %s", ErrLimit, e.Limit, e.Peer, e.quantity(e.Max))
	if e.Of != "" {
		text += fmt.Sprintf(" to all tasklets of peer %s", e.Of)
	}
	if e.Used > 0 {
		text += fmt.Sprintf(", %s in use", e.quantity(e.Used))
	}
	if e.Asked > 0 {
		text += fmt.Sprintf(", %s asked for", e.quantity(e.Asked))
	}
	return text
}

// Unwrap returns [ErrLimit].
func (e *LimitError) Unwrap() error { return ErrLimit }

// quantity returns n with the unit of the limit.
func (e *LimitError) quantity(n uint64) string {
	switch e.Limit {
	case LimitCPU, LimitCompileTime:
		return time.Duration(n).String()
	case LimitTasklets, LimitRequests, LimitPages, LimitChannels, LimitAllChannels:
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d bytes", n)
}

// LimitOf returns the limit that err is about, or nil.
func LimitOf(err error) *LimitError {
	var e *LimitError
	errors.As(err, &e)
	return e
}

// forWire returns e as it travels.
func (e *LimitError) forWire() *abi.Limit {
	if e == nil {
		return nil
	}
	return &abi.Limit{Name: string(e.Limit), Peer: e.Peer, Of: e.Of, Max: e.Max, Used: e.Used, Asked: e.Asked}
}

// limitFrom is the inverse of forWire.
func limitFrom(l *abi.Limit) *LimitError {
	if l == nil {
		return nil
	}
	return &LimitError{Limit: LimitName(l.Name), Peer: l.Peer, Of: l.Of, Max: l.Max, Used: l.Used, Asked: l.Asked}
}

// exceeds returns the error of a limit of this peer on one tasklet.
func (h *Host) exceeds(limit LimitName, maximum, used, asked uint64) *LimitError {
	return &LimitError{Limit: limit, Peer: h.self, Max: maximum, Used: used, Asked: asked}
}
