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

// Lasting streams
//
// A relay cuts what it carries after 128 KiB or 2 minutes, and a peer whose
// network changes loses all its connections. A lasting stream outlives the
// connections that carry it: each side counts the bytes that it received and
// keeps those that the other has not yet said to have received, and when one
// carrier is lost, either side brings another, on whatever connection there
// is, and both go on where they were. When a direct connection appears, the
// stream leaves the relay for it.
const (
	// window is how many bytes of a lasting stream one side may have sent
	// without the other's reader having taken them. Each side holds as many in
	// memory, at most twice.
	window = 256 << 10
	// patience is how long a lasting stream waits for a carrier.
	patience = 30 * time.Second
	// courtesy is how long the side that accepted a stream leaves it to the
	// one that opened it to bring another carrier.
	courtesy = 2 * time.Second
	// brief is what is left of that once there is a connection again.
	brief = 100 * time.Millisecond
	// ackEvery is how many bytes are received, at most, without a word.
	ackEvery = window / 8
)

var (
	errLost   = errors.New("no connection to the peer for 30 seconds")
	errForgot = errors.New("the peer does not know the stream any more: it was restarted")
)

// A lastingID names a stream. The side that opens it makes it, at random.
type lastingID [16]byte

// lasting is one end of a lasting stream. It implements network.Stream.
type lasting struct {
	node     *Node
	id       lastingID
	peer     ID
	opened   bool // by this side
	since    time.Time
	protocol Protocol

	place  *quota.Share // among those that the peer opened, or has ended, or nil
	unread *quota.Share // bytes of in
	unsent *quota.Share // bytes of out, above spareBytes

	mu   sync.Mutex
	cond sync.Cond // for who reads or writes: something below changed

	out      queue  // sent or to be sent, and not yet known to be received
	outAt    uint64 // position of out
	limit    uint64 // up to where the other side has room
	finished bool   // nothing is added to out any more
	finAcked bool

	in       queue  // received and not yet read
	received uint64 // position of the end of in
	fin      bool   // nothing comes behind in
	deaf     bool   // what comes is dropped
	told     uint64 // what the other side knows of received
	toldRoom uint64

	reset   bool // the other side is to be told of a reset
	err     error
	stopped bool // no reset is awaited, no carrier is wanted

	carrier   *carrier
	conn      network.Conn // of the last carrier
	carried   time.Time    // since when
	lost      time.Time    // since when there is no carrier
	reviving  bool
	hurry     chan struct{} // capacity 1: there is a new connection
	asking    bool          // a hello of this side is on its way
	gone      bool          // ended: the node will forget it
	forgotten bool          // by the node

	readBy, writeBy deadline
}

// A deadline wakes those who wait when it is over.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newLasting(n *Node, id lastingID, peer ID, p Protocol, opened bool) *lasting {
	l := &lasting{node: n, id: id, peer: peer, opened: opened, since: time.Now(), protocol: p, limit: window, lost: time.Now(), hurry: make(chan struct{}, 1)}
	l.cond.L = &l.mu
	holder := n.resources.holder(peer)
	l.unread = n.lastings.unread.Open(holder, l.evict)
	l.unsent = n.lastings.unsent.Open(holder, l.evict)
	return l
}

func (l *lasting) Read(p []byte) (n int, err error) {
	defer func() { err = l.explain(err) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.deaf:
			return 0, network.ErrReset
		case l.in.len() > 0:
			n := l.in.pop(p)
			l.unread.Shrink(n)
			l.drained()
			l.send() // the carrier may tell of it
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

// explain adds to an error which peer the stream is to. The end of what that peer
// says is io.EOF as it is, which readers compare.
func (l *lasting) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("stream to peer %s: %w", l.peer, err)
}

// changed wakes all who wait. The caller holds l.mu.
func (l *lasting) changed() {
	l.cond.Broadcast()
	l.send()
}

// room returns up to which position this side takes bytes.
func (l *lasting) room() uint64 { return l.received - uint64(l.in.len()) + window }

func (l *lasting) Write(p []byte) (n int, err error) {
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

// spareBytes is how much a stream may have on its way, in bytes, when its peer has
// all on its way that one may have.
const spareBytes = 4 << 10

// reserve returns how many bytes of n may be added to out.
func (l *lasting) reserve(n int) int {
	n = min(n, window-l.out.len())
	if n <= 0 || l.unsent.Grow(n) {
		return n
	}
	return min(n, max(0, spareBytes-l.out.len()))
}

// CloseWrite says that no more comes. What was written still goes.
func (l *lasting) CloseWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished = true
	l.changed()
	return nil
}

func (l *lasting) CloseRead() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turnDeaf()
	return nil
}

func (l *lasting) turnDeaf() {
	l.deaf = true
	l.dropIn()
	l.hangUp()
}

// Close ends both directions. What was written still goes, as long as the peer
// says within patience that it has more of it.
func (l *lasting) Close() error {
	l.CloseWrite()
	l.CloseRead()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveUpSoon()
	return nil
}

// giveUpSoon resets a closed stream whose peer says nothing any more. The caller
// holds l.mu.
func (l *lasting) giveUpSoon() {
	heard := l.outAt
	if l.over() || l.reset {
		return
	}
	time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.over() || l.err != nil:
		case l.outAt > heard:
			l.giveUpSoon()
		default:
			l.err, l.reset = network.ErrReset, true
			l.dropOut()
			l.changed()
		}
	})
}

// dropIn throws away what was received and not read, dropOut what was not yet
// received by the other side.
func (l *lasting) dropIn() {
	l.unread.Shrink(l.in.len())
	l.in.release()
	l.drained()
}

// drained gives back the memory of in, if it is empty and stays so.
func (l *lasting) drained() {
	if l.in.len() > 0 {
		return
	}
	if l.gone {
		l.in.release()
	}
	if l.forgotten {
		l.unread.Return()
	}
}

func (l *lasting) dropOut() {
	l.unsent.Shrink(l.out.len())
	l.out.release()
}

// evict resets a stream that has lost what it had to other peers. It does not
// block.
func (l *lasting) evict() {
	l.node.spawn(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.overrun()
		l.dropIn()
	})
}

// overrun resets a stream that has more than there is for it.
func (l *lasting) overrun() {
	if l.over() || l.err != nil {
		return
	}
	l.reset = true
	l.fail(errFull)
	if l.carrier == nil {
		l.forgetSoon()
	}
}

func (l *lasting) Reset() error { return l.ResetWithError(0) }

// ResetWithError is Reset: the code is not sent.
func (l *lasting) ResetWithError(network.StreamErrorCode) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.over() {
		l.err, l.reset = network.ErrReset, true
		if l.carrier == nil { // who asks for it hears that it is unknown
			l.stopped = true
			l.forgetSoon()
		}
	}
	l.finished = true
	l.dropOut()
	l.turnDeaf()
	return nil
}

// fail ends the stream because of err. What was received can still be read.
func (l *lasting) fail(err error) {
	if l.err == nil {
		l.err = err
	}
	l.stopped, l.finished = true, true
	l.dropOut()
	l.changed()
}

// over reports whether no carrier has anything to carry any more.
func (l *lasting) over() bool { return l.stopped || l.finAcked && l.fin }

// hangUp resets a stream to which nobody listens, and that said all it had to
// say, unless the other side has done so too.
func (l *lasting) hangUp() {
	if l.deaf && l.finAcked && !l.fin && l.err == nil {
		l.err, l.reset = network.ErrReset, true
	}
	l.changed()
}

func (l *lasting) SetDeadline(t time.Time) error {
	l.SetReadDeadline(t)
	return l.SetWriteDeadline(t)
}

func (l *lasting) SetReadDeadline(t time.Time) error  { return l.setDeadline(&l.readBy, t) }
func (l *lasting) SetWriteDeadline(t time.Time) error { return l.setDeadline(&l.writeBy, t) }

func (l *lasting) setDeadline(d *deadline, t time.Time) error {
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
	l.changed()
	return nil
}

func (l *lasting) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed()
}

func (l *lasting) ID() string                    { return string(l.id[:]) }
func (l *lasting) SetProtocol(protocol.ID) error { return errors.New("p2p: the protocol is settled") }
func (l *lasting) Scope() network.StreamScope    { return &network.NullScope{} }

func (l *lasting) Protocol() protocol.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.protocol
}

// Conn returns the connection that carries the stream, or did so last.
func (l *lasting) Conn() network.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

func (l *lasting) Stat() network.Stats {
	s := network.Stats{Direction: network.DirInbound, Opened: l.since}
	if l.opened {
		s.Direction = network.DirOutbound
	}
	return s
}
