package p2p

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p/quota"
)

// MaxPiece is the most that one piece of a lasting stream holds.
const MaxPiece = maxPiece

// Reread reads what a carrier of a lasting stream sends, the hello, the answer
// or the pieces, and returns it written again.
func Reread(b []byte) ([]byte, error) {
	r := bufio.NewReaderSize(bytes.NewReader(b[1:]), maxPiece)
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

// Attempts are when holes are punched to peers.
type Attempts struct{ p punches }

// Due is how long it is until the next attempt.
func (a *Attempts) Due(id ID) time.Duration {
	d, _ := a.p.due(id)
	return d
}

// Ended notes an attempt: dialed tells whether it came to that.
func (a *Attempts) Ended(id ID, dialed bool, err error) {
	if dialed && err != nil {
		a.p.tried(id)
	}
	a.p.ended(id, err)
}

// News tells that attempts are due at once.
func (a *Attempts) News() <-chan struct{} {
	_, news := a.p.due("")
	return news
}

// Enter reports whether nobody follows the peer yet.
func (a *Attempts) Enter(id ID) bool { return a.p.enter(id) }

// Again is called when the node is seen elsewhere.
func (a *Attempts) Again() { a.p.again() }

// Places are what a change of is seen elsewhere.
var Places = places

// StreamsOfOne is how many streams one peer may have opened here.
const StreamsOfOne = streamsOfPeer

// What the tests see of what lasting streams keep.
var (
	MaxBuffered   = unreadBytes.All
	BufferedOfOne = unreadBytes.Each
)

// Buffered returns how many bytes of a peer are kept that nobody has read.
func (n *Node) Buffered(of ID) int { return n.lastings.unread.Of(string(of)) }

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

// MaxProving is how many connections may be under proof of the network's key.
const MaxProving = maxProving

// MaxHandshakes is how many connections may be under handshake.
const MaxHandshakes = maxHandshakes

// The limits of the lasting streams that others open, and of what they keep unread.
var (
	LastingLimits = openedStreams
	UnreadLimits  = unreadBytes
)

// LimitLastings sets these, before there are any.
func (n *Node) LimitLastings(opened, unread quota.Limits) {
	n.lastings.opened, n.lastings.unread = quota.New(opened), quota.New(unread)
}

// Lastings returns how many lasting streams known peers and strangers have opened,
// and Unread how many bytes of them are kept unread.
func (n *Node) Lastings() (known, strangers int) { return n.lastings.opened.Used() }
func (n *Node) Unread() (known, strangers int)   { return n.lastings.unread.Used() }

// LimitStreams limits all streams that others open, and the memory of their
// multiplexers in bytes.
func (n *Node) LimitStreams(streams, memory quota.Limits) {
	n.resources.streams, n.resources.memory = quota.New(streams), quota.New(memory)
}

// LimitUnsent limits what lasting streams keep that was not received.
func (n *Node) LimitUnsent(l quota.Limits) { n.lastings.unsent = quota.New(l) }

// LimitEnded limits the lasting streams that have ended and are still known.
func (n *Node) LimitEnded(l quota.Limits) { n.lastings.ended = quota.New(l) }

// Unsent returns how many bytes lasting streams keep that were not received, Ended
// how many have ended and are still known, and EndedBuffers how many bytes of
// buffers these have.
func (n *Node) Unsent() int { known, some := n.lastings.unsent.Used(); return known + some }
func (n *Node) Ended() int  { known, some := n.lastings.ended.Used(); return known + some }
func (n *Node) EndedBuffers() (ended, bytes int) {
	for _, l := range n.lastings.all("") {
		l.mu.Lock()
		if l.gone {
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
	return aheadText(theirs.Sub(time.Now())), err
}
