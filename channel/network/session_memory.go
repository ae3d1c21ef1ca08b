package network

import (
	"fmt"
	"sync"

	"github.com/dstackless/dstackless/p2p/quota"
)

// What other peers make this one keep is counted in bytes, for each session.
const (
	// maxMemoryBytes is how much one peer may make this one keep: 256 MiB. All peers
	// together may have maxMemoryBytesAll, 512 MiB, and those that have proved no
	// channel's name maxMemoryBytesStrangers, 64 MiB. When all have too much, a session
	// of the address that has most ends: see package quota.
	maxMemoryBytes          = 256 << 20
	maxMemoryBytesAll       = 512 << 20
	maxMemoryBytesStrangers = 64 << 20

	// maxRelayedBytes is how many bytes of values, passed on to a peer that has not
	// read them yet, its session may have: 32 MiB. What is over it is refused.
	maxRelayedBytes = 32 << 20

	// maxAbandonedBytes is how many bytes of values, which nobody sends any more, may
	// wait for a peer to read them: 64 MiB.
	maxAbandonedBytes = 64 << 20

	// memoryStepBytes is in which steps a session takes from what is for all.
	memoryStepBytes = 32 << 10
)

// What is kept for a peer beside values, in bytes, about.
const (
	sessionBytes      = 32 << 10 // buffers and goroutines
	attachmentBytes   = 1 << 10
	numberBytes       = 256
	operationBytes    = 512
	pairBytes         = 256
	relayedEntryBytes = 256
)

func newMemory() *quota.Pool {
	return quota.New(quota.Limits{All: maxMemoryBytesAll, Strangers: maxMemoryBytesStrangers, Each: maxMemoryBytes})
}

// A memoryAccount counts what a session makes this peer keep.
type memoryAccount struct {
	mu       sync.Mutex
	share    *quota.Share
	used     int
	reserved int // of the share, for that
}

// add notes n bytes more, and reports false, and notes nothing, if the session
// may not have so much.
func (l *memoryAccount) add(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := l.used + n - l.reserved; more > 0 {
		more = (more + memoryStepBytes - 1) / memoryStepBytes * memoryStepBytes
		if !l.share.Grow(more) {
			return false
		}
		l.reserved += more
	}
	l.used += n
	return true
}

// remove notes n bytes less.
func (l *memoryAccount) remove(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = max(l.used-n, 0)
	if spare := l.reserved - l.used; spare >= 2*memoryStepBytes {
		spare = (spare - memoryStepBytes) / memoryStepBytes * memoryStepBytes
		l.share.Shrink(spare)
		l.reserved -= spare
	}
}

// move counts from now on in another share, unless that is too much.
func (l *memoryAccount) move(to *quota.Share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !to.Grow(l.reserved) {
		to.Return()
		return
	}
	l.share.Return()
	l.share = to
}

// end gives everything back.
func (l *memoryAccount) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share.Return()
}

// charge notes that the session makes this peer keep n bytes more. If it may not,
// it ends, and keep reports false.
func (s *session) charge(n int) bool {
	if s.memory.add(n) {
		return true
	}
	s.end(errMemory)
	return false
}

var errMemory = fmt.Errorf("the peer makes this one keep too much: it may have %d bytes, all peers together %d, and those that have proved no channel's name %d",
	maxMemoryBytes, maxMemoryBytesAll, maxMemoryBytesStrangers)

// openShare returns a share of the session's peer in what is kept for all.
func (s *session) openShare() *quota.Share {
	return s.space.memory.Open(s.space.node.Holder(s.peer), func() { s.end(errMemory) })
}

// end ends the session because of err. It does not wait.
func (s *session) end(err error) {
	s.failure.CompareAndSwap(nil, &err)
	s.stream.Reset() // the reader ends and cleans up
}
