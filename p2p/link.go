package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// stepTimeout bounds one step with a peer: to connect, to open a link, or to write
// once on it.
const stepTimeout = 10 * time.Second

const (
	// batchMaxBytes is how many bytes of pieces one write has. With the header of
	// yamux they fill four TLS records.
	batchMaxBytes = 64<<10 - 12
	// pieceHeadBytes is the size of the headers of an ack, a data piece and an end.
	pieceHeadBytes = 3 * (1 + 2*binary.MaxVarintLen64)
	// readAheadBytes is the size of a link's read buffer. An idle link has no other
	// buffer.
	readAheadBytes = 512
)

// batchBuffers have batchMaxBytes bytes, pieceBuffers have pieceMaxBytes.
var (
	batchBuffers = sync.Pool{New: func() any { return new([batchMaxBytes]byte) }}
	pieceBuffers = sync.Pool{New: func() any { return new([pieceMaxBytes]byte) }}
)

// A link is the libp2p stream that carries a resumable stream at the moment. The
// mutex of the resumable stream guards it.
type link struct {
	l         *resumable
	stream    network.Stream
	r         *bufio.Reader
	budget    *relayBudget // or nil
	slowTimer *time.Timer

	writing  bool   // writeLoop runs
	next     uint64 // position of the next byte to send
	endSent  bool   // the end was sent
	ackAsked bool   // pieceAsk was sent
	drained  bool   // it has left the budget of its connection
}

// attachLink makes stream the link of l and resets an older link. received is the
// ack point of the other side. It returns nil if the stream cannot go on.
func (l *resumable) attachLink(stream network.Stream, r *bufio.Reader, received uint64) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped && !l.handleAck(received) {
		l.fail(fmt.Errorf("%w: it went back to byte %d", errMalformed, received))
	}
	if l.stopped {
		return nil
	}
	stream.SetDeadline(time.Time{})
	c := &link{l: l, stream: stream, r: r, next: l.acked, budget: l.node.relayBudgetOf(stream.Conn())}
	if c.budget != nil {
		c.budget.join(c)
	}
	if old := l.link; old != nil {
		old.stream.Reset() // its unacknowledged bytes are sent again
	}
	l.link, l.conn, l.linkedAt = c, stream.Conn(), time.Now()
	l.windowSent = 0 // the last ack may be lost
	l.notify()
	return c
}

// handleAck takes the ack point of the other side. It reports false if the ack
// point is not possible.
func (l *resumable) handleAck(received uint64) bool {
	end := l.acked + uint64(l.out.len())
	switch {
	case received < l.acked:
		return l.finAcked
	case received == end+1 && l.finished:
		l.finAcked = true
		received = end
	case received > end:
		return l.err != nil // unacknowledged bytes were discarded
	}
	l.unsent.Shrink(int(received - l.acked))
	l.out.drop(int(received - l.acked))
	l.acked = received
	l.resetIfUnread()
	return true
}

// ackPoint returns how many bytes this side has received, and one more for the end.
func (l *resumable) ackPoint() uint64 {
	if l.fin {
		return l.received + 1
	}
	return l.received
}

// send starts writeLoop if there is a link and work for it. The caller holds l.mu.
func (l *resumable) send() {
	if c := l.link; c != nil && !c.writing && c.hasWork() {
		c.writing = true
		l.node.streams.work.Go(c.writeLoop) // readLoop still runs, so Wait does not return before
	}
}

// hasWork reports whether writeLoop has anything to do.
func (c *link) hasWork() bool {
	l := c.l
	end := l.acked + uint64(l.out.len())
	spent := c.budget != nil && c.budget.isSpent()
	switch {
	case l.reset, l.finishedBoth(), c.ackDue():
		return true
	case spent:
		return !c.ackAsked || c.allAcked()
	case max(c.next, l.acked) < min(end, l.sendLimit):
		return true
	}
	return c.endDue() && max(c.next, l.acked) == end
}

// ackDue reports whether an ack must be sent.
func (c *link) ackDue() bool {
	l := c.l
	got := l.ackPoint()
	return got-l.ackSent >= ackBytes || l.windowEnd()-l.windowSent >= windowBytes/4 || l.fin && got != l.ackSent
}

// endDue reports whether the end must be sent after all data.
func (c *link) endDue() bool { return c.l.finished && c.l.err == nil && !c.endSent }

// allAcked reports whether the other side has acknowledged all that c sent, after
// c asked for it.
func (c *link) allAcked() bool {
	return c.ackAsked && !c.drained && c.l.acked >= c.next && (!c.endSent || c.l.finAcked)
}

// writeLoop writes on c until nothing is left to send, or c is replaced or lost.
func (c *link) writeLoop() {
	l := c.l
	buffer := batchBuffers.Get().(*[batchMaxBytes]byte)
	defer batchBuffers.Put(buffer)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.link == c {
		b := c.batch(buffer[:0])
		if len(b) == 0 {
			if l.reset || l.finishedBoth() {
				break
			}
			if c.allAcked() {
				c.drained = true
				c.budget.leave(c)
			}
			c.writing = false
			return
		}
		l.mu.Unlock()
		err := c.write(b)
		l.mu.Lock()
		if err != nil {
			c.stream.Reset() // readLoop ends, and removes the link
			return
		}
		if l.reset {
			l.stopped = true
			break
		}
	}
	if l.link == c {
		c.stream.CloseWrite()
		c.stream.SetReadDeadline(time.Now().Add(stepTimeout)) // until the other side closes it too
		l.linger()
	}
}

// write writes b. If that takes slowStepTimeout, the connections to the peer are
// probed.
func (c *link) write(b []byte) error {
	c.stream.SetWriteDeadline(time.Now().Add(stepTimeout))
	if c.slowTimer == nil {
		c.slowTimer = time.AfterFunc(slowStepTimeout, func() { c.l.node.work.Go(func() { c.l.node.probeLenient(c.l.peer) }) })
	} else {
		c.slowTimer.Reset(slowStepTimeout)
	}
	_, err := c.stream.Write(b)
	c.slowTimer.Stop()
	return err
}

// batch appends all pieces that are due, up to batchMaxBytes.
func (c *link) batch(b []byte) []byte {
	for before := -1; before < len(b) && len(b)+pieceMaxBytes/2 <= batchMaxBytes && (len(b) == 0 || !c.l.reset); {
		before = len(b)
		b = c.appendDue(b)
	}
	return b
}

// appendDue appends the next pieces that are due.
func (c *link) appendDue(b []byte) []byte {
	l := c.l
	if l.reset {
		return (&piece{kind: pieceReset}).append(b)
	}
	if c.ackDue() {
		l.ackSent, l.windowSent = l.ackPoint(), l.windowEnd()
		b = (&piece{kind: pieceAck, at: l.ackSent, room: l.windowSent}).append(b)
	}
	c.next = max(c.next, l.acked)
	if c.budget != nil && c.budget.isSpent() {
		return c.appendAsk(b)
	}
	end := l.acked + uint64(l.out.len())
	most := min(pieceMaxBytes, batchMaxBytes-len(b)-pieceHeadBytes)
	if upTo := min(end, l.sendLimit, c.next+uint64(most)); c.next < upTo {
		data := l.out.part(int(c.next-l.acked), int(upTo-l.acked))
		if c.budget != nil && !c.budget.spend(len(data)+16) {
			return c.appendAsk(b)
		}
		b = (&piece{kind: pieceData, at: c.next, data: data}).append(b)
		c.next += uint64(len(data))
	}
	if c.next == end && c.endDue() {
		b = (&piece{kind: pieceEnd, at: end}).append(b)
		c.endSent = true
	}
	return b
}

// appendAsk appends a request for an ack, once.
func (c *link) appendAsk(b []byte) []byte {
	if c.ackAsked {
		return b
	}
	c.ackAsked = true
	return (&piece{kind: pieceAsk}).append(b)
}

// readLoop reads pieces from c until c ends.
func (c *link) readLoop() {
	l := c.l
	var err error
	for err == nil {
		var p piece
		p, err = readPiece(c.r)
		switch {
		case err != nil:
		case p.kind == pieceData:
			err = c.readData(&p)
		default:
			err = l.handle(&p)
		}
	}
	c.stream.Reset()
	if c.budget != nil {
		c.budget.leave(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != c {
		return
	}
	l.link, l.unlinkedAt = nil, time.Now()
	l.notify()
	switch {
	case l.finishedBoth():
		l.linger()
	case l.reset: // who asks for it hears that it is unknown
		l.stopped = true
		l.linger()
	default:
		l.relink()
	}
}

// readData reads the data of a piece. The bytes count as unread as soon as their
// number is known: a peer that does not send them uses up its own limit.
func (c *link) readData(p *piece) error {
	l := c.l
	counted := 0
	if !l.isReadClosed() {
		if !l.unread.Grow(p.size) {
			l.mu.Lock()
			l.failFull()
			l.mu.Unlock()
			_, err := c.r.Discard(p.size)
			return err
		}
		counted = p.size
	}
	buffer := pieceBuffers.Get().(*[pieceMaxBytes]byte)
	defer pieceBuffers.Put(buffer)
	p.data = buffer[:p.size]
	_, err := io.ReadFull(c.r, p.data)
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := 0
	if err == nil {
		kept, err = l.handleData(p)
	}
	l.unread.Shrink(counted - kept)
	return err
}

func (l *resumable) isReadClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readClosed
}

// handle handles a piece without data.
func (l *resumable) handle(p *piece) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p.kind {
	case pieceReset:
		l.fail(network.ErrReset)
		l.linger()
	case pieceAck:
		if !l.handleAck(p.at) {
			return errMalformed
		}
		l.sendLimit = max(l.sendLimit, p.room)
	case pieceAsk:
		l.windowSent = 0 // an ack is due
	case pieceEnd:
		if p.at != l.received {
			return errMalformed
		}
		l.fin = true
	}
	l.notify()
	return nil
}

// handleData adds data to in, and returns how many bytes it added.
func (l *resumable) handleData(p *piece) (kept int, err error) {
	if p.at > l.received || l.fin && p.at+uint64(len(p.data)) > l.received {
		return 0, errMalformed
	}
	known := l.received - p.at
	if known >= uint64(len(p.data)) {
		return 0, nil // sent again by a new link
	}
	data := p.data[known:]
	if !l.readClosed && l.in.len()+len(data) > windowBytes {
		return 0, errMalformed
	}
	l.received += uint64(len(data))
	if !l.readClosed && l.err != errFull {
		l.in.push(data)
		kept = len(data)
	}
	l.cond.Broadcast()
	l.send()
	return kept, nil
}
