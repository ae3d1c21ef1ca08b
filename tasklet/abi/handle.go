package abi

import "time"

// The kinds of a Failure. Numbers are never reused: new kinds are added at the
// end.
const (
	FailureOther uint8 = iota
	FailureKilled
	FailureRefused
	FailureNotFound
	FailureExited
	FailureSelf
	FailureUnconfirmed
	FailureProgram
	FailureContinuation
	FailureClosed
	FailureSuspended
	FailureNoDisk
	FailurePrepared
	FailureDraining
	FailureLimit
)

// A Failure is an error of a tasklet.
type Failure struct {
	Kind uint8
	Text string
	// Reason and Stack are those of a crash, in which Kind and Text are the
	// limit that the program died of, if any.
	Reason string
	Stack  string
	// Limit is the limit that was exceeded, if the error is of one.
	Limit *Limit
}

// A Limit is one that was exceeded.
type Limit struct {
	Name  string // which
	Peer  string // ID of the peer whose limit it is
	Of    string // ID of the peer whose tasklets are limited together; empty: one tasklet
	Max   uint64
	Used  uint64
	Asked uint64
}

// An Answer is what came of a request that concerns a tasklet.
type Answer struct {
	Status  int      // of KindWait: the exit status
	Failure *Failure // why the request failed; of KindWait: why the tasklet ended
	Info    *Info    // of KindInfo
}

// An Info tells of a tasklet.
type Info struct {
	ID       string
	Program  string
	Args     []string
	Function string
	Origin   string
	Host     string
	State    string
	Status   int
	Error    string
	Started  time.Time
}

// MaxAnswer is the length of the longest answer, in bytes, which is the gob of an
// Answer.
const MaxAnswer = 1 << 20

// AppendHandle appends the payload of a request that concerns a tasklet: its Ref,
// and the peer of KindSteer.
func AppendHandle(b []byte, r Ref, peer string) []byte {
	return AppendRef(AppendString(b, peer), r)
}

// ParseHandle is the inverse of AppendHandle.
func ParseHandle(b []byte) (r Ref, peer string, err error) {
	to, b, ok := cut(b, MaxString)
	if !ok {
		return r, "", ErrMalformed
	}
	r, err = ParseRef(b)
	return r, string(to), err
}
