package network

import (
	"fmt"
	"sync"

	"github.com/dstackless/dstackless/p2p/quota"
)

// What other peers make this one keep is counted in bytes, for each session.
const (
	// maxKept is how much one peer may make this one keep: 256 MiB. All peers
	// together may have maxKeptAll, 512 MiB, and those that have proved no
	// channel's name maxKeptStrangers, 64 MiB. When all have too much, a session
	// of the address that has most ends: see package quota.
	maxKept          = 256 << 20
	maxKeptAll       = 512 << 20
	maxKeptStrangers = 64 << 20

	// maxPassed is how many bytes of values, passed on to a peer that has not
	// read them yet, its session may have: 32 MiB. What is over it is refused.
	maxPassed = 32 << 20

	// maxAbandoned is how many bytes of values, which nobody sends any more, may
	// wait for a peer to read them: 64 MiB.
	maxAbandoned = 64 << 20

	// keptStep is in which steps a session takes from what is for all.
	keptStep = 32 << 10
)

// What is kept for a peer beside values, in bytes, about.
const (
	sessionCost     = 32 << 10 // buffers and goroutines
	attachmentBytes = 1 << 10
	numberCost      = 256
	operationCost   = 512
	pairCost        = 256
	passCost        = 256
)

func newMemory() *quota.Pool {
	return quota.New(quota.Limits{All: maxKeptAll, Strangers: maxKeptStrangers, Each: maxKept})
}

// A ledger counts what a session makes this peer keep.
type ledger struct {
	mu    sync.Mutex
	share *quota.Share
	kept  int
	taken int // of the share, for that
}

// add notes n bytes more, and reports false, and notes nothing, if the session
// may not have so much.
func (l *ledger) add(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := l.kept + n - l.taken; more > 0 {
		more = (more + keptStep - 1) / keptStep * keptStep
		if !l.share.Grow(more) {
			return false
		}
		l.taken += more
	}
	l.kept += n
	return true
}

// remove notes n bytes less.
func (l *ledger) remove(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = max(l.kept-n, 0)
	if spare := l.taken - l.kept; spare >= 2*keptStep {
		spare = (spare - keptStep) / keptStep * keptStep
		l.share.Shrink(spare)
		l.taken -= spare
	}
}

// move counts from now on in another share, unless that is too much.
func (l *ledger) move(to *quota.Share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !to.Grow(l.taken) {
		to.Return()
		return
	}
	l.share.Return()
	l.share = to
}

// end gives everything back.
func (l *ledger) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share.Return()
}

// keep notes that the session makes this peer keep n bytes more. If it may not,
// it ends, and keep reports false.
func (s *session) keep(n int) bool {
	if s.memory.add(n) {
		return true
	}
	s.end(errKept)
	return false
}

var errKept = fmt.Errorf("the peer makes this one keep too much: it may have %d bytes, all peers together %d, and those that have proved no channel's name %d",
	maxKept, maxKeptAll, maxKeptStrangers)

// openShare returns a share of the session's peer in what is kept for all.
func (s *session) openShare() *quota.Share {
	return s.space.memory.Open(s.space.node.Holder(s.peer), func() { s.end(errKept) })
}

// end ends the session because of err. It does not wait.
func (s *session) end(err error) {
	s.failure.CompareAndSwap(nil, &err)
	s.stream.Reset() // the reader ends and cleans up
}
