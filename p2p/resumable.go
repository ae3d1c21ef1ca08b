package p2p

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dstackless/dstackless/p2p/quota"
)

// Resumable streams
//
// A relay closes a connection after 128 KiB or 2 minutes. A peer whose network
// changes loses all its connections. A resumable stream survives both. Each side
// counts the bytes that it received, and keeps the bytes that the other side has
// not acknowledged. A link is the libp2p stream that carries the resumable stream
// at the moment. When the link is lost, either side opens another one over any
// connection to the peer, and both go on where they were. When a direct
// connection appears, the stream moves from the relay to it.
const (
	// windowBytes is how many bytes one side may have sent that the other side's
	// reader has not taken. Each side keeps at most twice as much in memory.
	windowBytes = 256 << 10
	// resumeTimeout is how long a resumable stream waits for a link before it fails.
	resumeTimeout = 30 * time.Second
	// acceptorDelay is how long the side that accepted a stream waits before it
	// opens a link itself. The side that opened the stream begins at once.
	acceptorDelay = 2 * time.Second
	// reconnectDelay replaces acceptorDelay when there is a new connection.
	reconnectDelay = 100 * time.Millisecond
	// ackBytes is how many bytes one side receives, at most, before it sends an ack.
	ackBytes = windowBytes / 8
)

var (
	errLost          = errors.New("no connection to the peer for 30 seconds")
	errUnknownStream = errors.New("the peer does not know the stream: it was restarted")
)

// A streamID identifies a stream. The side that opens the stream makes the ID at random.
type streamID [16]byte

// resumable is one end of a resumable stream. It implements network.Stream.
type resumable struct {
	node     *Node
	id       streamID
	peer     ID
	opened   bool      // by this side
	since    time.Time // when it was opened
	protocol Protocol

	place  *quota.Share // in streamSet.opened or streamSet.ended; nil if this side opened it
	unread *quota.Share // bytes of in
	unsent *quota.Share // bytes of out above unsentSpareBytes

	mu   sync.Mutex // guards everything below
	cond sync.Cond  // readers and writers wait on it for a change

	out       byteRing // written and not acknowledged
	acked     uint64   // position of the first byte of out
	sendLimit uint64   // position up to which the other side accepts bytes
	finished  bool     // the write side is closed
	finAcked  bool     // the other side has received the end

	in         byteRing // received and not yet read
	received   uint64   // position of the end of in
	fin        bool     // the other side has sent the end
	readClosed bool     // received bytes are dropped
	ackSent    uint64   // the ack point in the last ack
	windowSent uint64   // the window's end in the last ack

	reset   bool // a reset must be sent
	err     error
	stopped bool // no link is needed any more

	link       *link
	conn       network.Conn  // the connection of the last link
	linkedAt   time.Time     // when link was set
	unlinkedAt time.Time     // when the last link was lost
	relinking  bool          // a goroutine looks for a link
	newConn    chan struct{} // capacity 1: the peer has a new connection
	helloSent  bool          // this side waits for the answer to a hello
	ended      bool          // the node will remove it after resumeTimeout
	forgotten  bool          // the node has removed it

	readBy, writeBy deadline
}

// A deadline wakes readers and writers when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newResumable(n *Node, id streamID, peer ID, p Protocol, opened bool) *resumable {
	l := &resumable{node: n, id: id, peer: peer, opened: opened, since: time.Now(), protocol: p, sendLimit: windowBytes, unlinkedAt: time.Now(), newConn: make(chan struct{}, 1)}
	l.cond.L = &l.mu
	holder := n.resources.holder(peer)
	l.unread = n.streams.unread.Open(holder, l.evict)
	l.unsent = n.streams.unsent.Open(holder, l.evict)
	return l
}

func (l *resumable) Read(p []byte) (n int, err error) {
	defer func() { err = l.explain(err) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.readClosed:
			return 0, network.ErrReset
		case l.in.len() > 0:
			n := l.in.pop(p)
			l.unread.Shrink(n)
			l.releaseIfEmpty()
			l.send() // an ack may be due
			return n, nil
		case l.fin:
			return 0, io.EOF
		case l.err != nil:
			return 0, l.err
		case l.readBy.over():
			return 0, os.ErrDeadlineExceeded
		}
		l.cond.Wait()
	}
}

// explain adds to an error which peer the stream is to. It leaves io.EOF as it is:
// readers compare with it.
func (l *resumable) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("stream to peer %s: %w", l.peer, err)
}

// notify wakes readers and writers, and the link. The caller holds l.mu.
func (l *resumable) notify() {
	l.cond.Broadcast()
	l.send()
}

// windowEnd returns the position up to which this side accepts bytes.
func (l *resumable) windowEnd() uint64 { return l.received - uint64(l.in.len()) + windowBytes }

func (l *resumable) Write(p []byte) (n int, err error) {
	defer func() { err = l.explain(err) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.err != nil:
			return n, l.err
		case l.finished:
			return n, network.ErrReset
		case len(p) == 0:
			return n, nil
		case l.writeBy.over():
			return n, os.ErrDeadlineExceeded
		}
		if k := l.reserve(len(p)); k > 0 {
			l.out.push(p[:k])
			n, p = n+k, p[k:]
			l.send()
			continue
		}
		l.cond.Wait()
	}
}

// unsentSpareBytes is how many unacknowledged bytes a stream may always have, even
// if the streams to its peer have used up the peer's limit.
const unsentSpareBytes = 4 << 10

// reserve returns how many bytes of n may be added to out.
func (l *resumable) reserve(n int) int {
	n = min(n, windowBytes-l.out.len())
	if n <= 0 || l.unsent.Grow(n) {
		return n
	}
	return min(n, max(0, unsentSpareBytes-l.out.len()))
}

// CloseWrite sends the end of the stream after everything that was written.
func (l *resumable) CloseWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished = true
	l.notify()
	return nil
}

func (l *resumable) CloseRead() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeReadLocked()
	return nil
}

func (l *resumable) closeReadLocked() {
	l.readClosed = true
	l.discardUnread()
	l.resetIfUnread()
}

// Close closes both directions. What was written is still sent. The stream is
// reset if the peer acknowledges nothing for resumeTimeout.
func (l *resumable) Close() error {
	l.CloseWrite()
	l.CloseRead()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resetIfStalled()
	return nil
}

// resetIfStalled resets a closed stream whose peer acknowledges nothing for
// resumeTimeout. The caller holds l.mu.
func (l *resumable) resetIfStalled() {
	heard := l.acked
	if l.finishedBoth() || l.reset {
		return
	}
	time.AfterFunc(resumeTimeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.finishedBoth() || l.err != nil:
		case l.acked > heard:
			l.resetIfStalled()
		default:
			l.err, l.reset = network.ErrReset, true
			l.discardUnsent()
			l.notify()
		}
	})
}

// discardUnread drops what was received and not read.
func (l *resumable) discardUnread() {
	l.unread.Shrink(l.in.len())
	l.in.release()
	l.releaseIfEmpty()
}

// releaseIfEmpty returns the memory of in if it is empty and nothing more will come.
func (l *resumable) releaseIfEmpty() {
	if l.in.len() > 0 {
		return
	}
	if l.ended {
		l.in.release()
	}
	if l.forgotten {
		l.unread.Return()
	}
}

// discardUnsent drops what the other side has not acknowledged.
func (l *resumable) discardUnsent() {
	l.unsent.Shrink(l.out.len())
	l.out.release()
}

// evict resets a stream whose memory the pool has given to other peers. It does
// not block.
func (l *resumable) evict() {
	l.node.work.Go(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failFull()
		l.discardUnread()
	})
}

// failFull resets a stream that exceeds its share of memory.
func (l *resumable) failFull() {
	if l.finishedBoth() || l.err != nil {
		return
	}
	l.reset = true
	l.fail(errFull)
	if l.link == nil {
		l.linger()
	}
}

func (l *resumable) Reset() error { return l.ResetWithError(0) }

// ResetWithError is Reset: the code is not sent.
func (l *resumable) ResetWithError(network.StreamErrorCode) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.finishedBoth() {
		l.err, l.reset = network.ErrReset, true
		if l.link == nil { // a hello for it is answered with verdictUnknown
			l.stopped = true
			l.linger()
		}
	}
	l.finished = true
	l.discardUnsent()
	l.closeReadLocked()
	return nil
}

// fail ends the stream because of err. What was received can still be read.
func (l *resumable) fail(err error) {
	if l.err == nil {
		l.err = err
	}
	l.stopped, l.finished = true, true
	l.discardUnsent()
	l.notify()
}

// finishedBoth reports whether nothing remains to be sent or received.
func (l *resumable) finishedBoth() bool { return l.stopped || l.finAcked && l.fin }

// resetIfUnread resets a stream whose reads are closed and whose writes are all
// acknowledged, unless the other side has sent the end too.
func (l *resumable) resetIfUnread() {
	if l.readClosed && l.finAcked && !l.fin && l.err == nil {
		l.err, l.reset = network.ErrReset, true
	}
	l.notify()
}

func (l *resumable) SetDeadline(t time.Time) error {
	l.SetReadDeadline(t)
	return l.SetWriteDeadline(t)
}

func (l *resumable) SetReadDeadline(t time.Time) error  { return l.setDeadline(&l.readBy, t) }
func (l *resumable) SetWriteDeadline(t time.Time) error { return l.setDeadline(&l.writeBy, t) }

func (l *resumable) setDeadline(d *deadline, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.at = t
	switch {
	case t.IsZero() && d.timer != nil:
		d.timer.Stop()
	case t.IsZero():
	case d.timer != nil:
		d.timer.Reset(time.Until(t))
	default:
		d.timer = time.AfterFunc(time.Until(t), l.wake)
	}
	l.notify()
	return nil
}

func (l *resumable) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notify()
}

func (l *resumable) ID() string { return string(l.id[:]) }
func (l *resumable) SetProtocol(protocol.ID) error {
	return errors.New("p2p: the protocol of a stream cannot change")
}
func (l *resumable) Scope() network.StreamScope { return &network.NullScope{} }

func (l *resumable) Protocol() protocol.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.protocol
}

// Conn returns the connection of the current link, or of the last one.
func (l *resumable) Conn() network.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

func (l *resumable) Stat() network.Stats {
	s := network.Stats{Direction: network.DirInbound, Opened: l.since}
	if l.opened {
		s.Direction = network.DirOutbound
	}
	return s
}
