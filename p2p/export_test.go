package p2p

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p/quota"
)

// PieceMaxBytes is the most that one piece of a resumable stream holds.
const PieceMaxBytes = pieceMaxBytes

// Reread reads what a link of a resumable stream sends, the hello, the answer
// or the pieces, and returns it written again.
func Reread(b []byte) ([]byte, error) {
	r := bufio.NewReaderSize(bytes.NewReader(b[1:]), pieceMaxBytes)
	out := []byte{b[0]}
	switch b[0] {
	case 0:
		h, err := readHello(r)
		return h.append(out), err
	case 1:
		a, err := readAnswer(r)
		return a.append(out), err
	}
	for {
		if _, err := r.Peek(1); err != nil {
			return out, nil
		}
		p, err := readPiece(r)
		if err != nil {
			return nil, err
		}
		p.data = make([]byte, p.size)
		if _, err := io.ReadFull(r, p.data); err != nil {
			return nil, err
		}
		out = p.append(out)
	}
}

// PunchTimes are when holes are punched to peers.
type PunchTimes struct{ p punchSchedule }

// Next is how long it is until the next attempt.
func (a *PunchTimes) Next(id ID) time.Duration {
	d, _ := a.p.next(id)
	return d
}

// Finished notes an attempt: dialed tells whether it came to that.
func (a *PunchTimes) Finished(id ID, dialed bool, err error) {
	if dialed && err != nil {
		a.p.dialFailed(id)
	}
	a.p.finished(id, err)
}

// News tells that attempts are due at once.
func (a *PunchTimes) News() <-chan struct{} {
	_, news := a.p.next("")
	return news
}

// Start reports whether nobody follows the peer yet.
func (a *PunchTimes) Start(id ID) bool { return a.p.start(id) }

// Reset is called when the node is seen elsewhere.
func (a *PunchTimes) Reset() { a.p.reset() }

// PublicPlaces are what a change of is seen elsewhere.
var PublicPlaces = publicPlaces

// StreamsOfOne is how many streams one peer may have opened here.
const StreamsOfOne = streamsOfPeerMax

// What the tests see of what resumable streams keep.
var (
	MaxBuffered   = unreadBytes.All
	BufferedOfOne = unreadBytes.Each
)

// Buffered returns how many bytes of a peer are kept that nobody has read.
func (n *Node) Buffered(of ID) int { return n.streams.unread.Of(string(of)) }

// MessagesOfOne is how many bytes of messages that have not come whole are kept
// of one peer.
var MessagesOfOne = messageBytes.Each

// ReadWhole reads a message from b, and tells how many bytes of memory were taken.
func ReadWhole(b []byte, limit int) (m []byte, taken int, err error) {
	pool := quota.New(messageBytes)
	m, err = readWhole(bufio.NewReaderSize(bytes.NewReader(b), 64), limit, pool.Open(quota.Holder{}, func() {}))
	_, taken = pool.Used()
	return m, taken, err
}

// Messages returns how many bytes are kept of messages that have not come whole.
func (n *Node) Messages() int {
	known, strangers := n.messages.Used()
	return known + strangers
}

// ProvingMax is how many connections may be under proof of the network's key.
const ProvingMax = provingMax

// HandshakesMax is how many connections may be under handshake.
const HandshakesMax = handshakesMax

// The limits of the resumable streams that others open, and of what they keep unread.
var (
	ResumableLimits = openedStreams
	UnreadLimits    = unreadBytes
)

// LimitResumables sets these, before there are any.
func (n *Node) LimitResumables(opened, unread quota.Limits) {
	n.streams.opened, n.streams.unread = quota.New(opened), quota.New(unread)
}

// OpenedResumables returns how many resumable streams known peers and strangers have opened,
// and Unread how many bytes of them are kept unread.
func (n *Node) OpenedResumables() (known, strangers int) { return n.streams.opened.Used() }
func (n *Node) Unread() (known, strangers int)           { return n.streams.unread.Used() }

// LimitStreams limits all streams that others open, and the memory of their
// multiplexers in bytes.
func (n *Node) LimitStreams(streams, memory quota.Limits) {
	n.resources.streams, n.resources.memory = quota.New(streams), quota.New(memory)
}

// LimitUnsent limits what resumable streams keep that was not received.
func (n *Node) LimitUnsent(l quota.Limits) { n.streams.unsent = quota.New(l) }

// LimitEnded limits the resumable streams that have ended and are still known.
func (n *Node) LimitEnded(l quota.Limits) { n.streams.ended = quota.New(l) }

// Unsent returns how many bytes resumable streams keep that were not received, Ended
// how many have ended and are still known, and EndedBuffers how many bytes of
// buffers these have.
func (n *Node) Unsent() int { known, some := n.streams.unsent.Used(); return known + some }
func (n *Node) Ended() int  { known, some := n.streams.ended.Used(); return known + some }
func (n *Node) EndedBuffers() (ended, bytes int) {
	for _, l := range n.streams.all("") {
		l.mu.Lock()
		if l.ended {
			ended++
			bytes += len(l.in.ring) + len(l.out.ring)
		}
		l.mu.Unlock()
	}
	return ended, bytes
}

// LimitConnections limits the connections that others make.
func (n *Node) LimitConnections(l quota.Limits) { n.resources.conns = quota.New(l) }

// LibraryLimits are those of a protocol that another library serves.
var LibraryLimits = libraryStreams

// Streams returns how many streams strangers have opened, and how many bytes the
// multiplexers of their connections have.
func (n *Node) Streams() (streams, memory int) {
	_, streams = n.resources.streams.Used()
	_, memory = n.resources.memory.Used()
	return streams, memory
}

// AwaitClocks waits until the clocks of so many peers are known.
func (n *Node) AwaitClocks(t *testing.T, count int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		n.clocks.mu.Lock()
		known := len(n.clocks.peers)
		n.clocks.mu.Unlock()
		if known == count {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the clocks of %d peers are known, want %d", known, count)
		}
	}
}

// ClockText reads what a peer says that the time is, and says how far it is ahead.
func ClockText(b []byte) (string, error) {
	theirs, err := readTime(bytes.NewReader(b))
	return aheadText(time.Until(theirs)), err
}
