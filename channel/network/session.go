package network

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

const (
	// writeTimeout is how long a peer may leave its end of a stream unread
	// before it is given up, and half of it how long it surely may.
	writeTimeout = 30 * time.Second

	// maxReplyBytes is how many bytes of answers may wait for a peer that asks
	// and does not read.
	maxReplyBytes = 4 << 20

	// smallFrameBytes is the size up to which frames are read without a buffer of
	// their own.
	smallFrameBytes = 4 << 10
)

// A session is one stream to a peer, on which all channels that both use are
// multiplexed. What is said on a session ends with it. Two peers that dial
// each other at once have two, which does no harm.
type session struct {
	space       *Space
	peer        p2p.ID
	incarnation uint64 // differs each time the peer at the other end starts
	stream      p2p.Stream

	// For the reader alone.
	numbers  map[uint64]*channelState // by the other side's number
	numberOf map[hash]uint64          // the other side's number of a channel
	swept    int                      // how many numbers were left when they were last swept

	memory  memoryAccount
	failure atomic.Pointer[error] // why this side ends the session

	mu           sync.Mutex
	outgoing     []chunk // what the writer writes next
	replyBytes   int     // bytes of outgoing beside values
	relayedBytes int     // bytes of relayed values that are not written yet
	// Bytes of values that wait for the peer to read them, though nobody sends
	// them any more: those of before the writer took outgoing, and since.
	abandoned, abandonedSince int
	dead                      bool
	wake                      chan struct{} // capacity 1
	channels                  map[*channelState]struct{}
	keepalive                 keepalive

	// Accepts that were sent and that the other side has not acknowledged, in
	// order.
	unacked         []uint64
	ackedCount      uint64 // how many accepts of this side the other acknowledged
	acceptsReceived uint64

	fenced atomic.Bool // a newer session took its place: its frames are ignored

	closing    bool          // no more will be sent
	writerDone chan struct{} // the writer has ended
	readerDone chan struct{} // the reader has ended
}

// exchangePreamble exchanges the first bytes of a stream: the incarnation of each peer.
func exchangePreamble(stream p2p.Stream, run uint64) (uint64, error) {
	deadline := time.Now().Add(writeTimeout)
	if err := stream.SetDeadline(deadline); err != nil {
		return 0, err
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], run)
	if _, err := stream.Write(b[:]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(stream, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), stream.SetDeadline(time.Time{})
}

// attach records that cs is told when s ends. It reports false if it has.
func (s *session) attach(cs *channelState) bool {
	if !s.charge(attachmentBytes) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		s.channels[cs] = struct{}{}
	}
	return !s.dead
}

func (s *session) detach(cs *channelState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, tied := s.channels[cs]; tied {
		delete(s.channels, cs)
		s.memory.remove(attachmentBytes)
	}
}

// closeAfterFlush lets the writer write what is queued, and end.
func (s *session) closeAfterFlush() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// serve runs the session until its stream ends, and then tells the channels.
func (s *session) serve() {
	defer s.space.wg.Done()
	s.space.spawn(s.write)
	err := s.read()
	if err == nil { // the other side has said all, and may still listen
		s.closeAfterFlush()
		<-s.writerDone
	}
	s.stream.Reset()
	close(s.readerDone)
	s.space.endSession(s)
	if failure := s.failure.Load(); failure != nil {
		err = *failure
	}
	if err != nil {
		s.space.log.Debug("channel session ended", "peer", s.peer, "error", err)
	}
}
