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

// carrierTimeout is how long a carrier may take for one step.
const carrierTimeout = 10 * time.Second

const (
	// maxBatch is how many bytes of pieces are written at once: with the head
	// that yamux gives them, four full records of TLS.
	maxBatch = 64<<10 - 12
	// pieceHeads is how many bytes come with the data of a piece, with an ack
	// before and an end behind it.
	pieceHeads = 3 * (1 + 2*binary.MaxVarintLen64)
	// headBuffer is how many bytes a carrier reads ahead: it has no other buffer
	// as long as nothing comes.
	headBuffer = 512
)

// batchBuffers hold maxBatch bytes, pieceBuffers maxPiece.
var (
	batchBuffers = sync.Pool{New: func() any { return new([maxBatch]byte) }}
	pieceBuffers = sync.Pool{New: func() any { return new([maxPiece]byte) }}
)

// A carrier is a stream of a connection that carries a lasting stream.
type carrier struct {
	l      *lasting
	stream network.Stream
	r      *bufio.Reader
	budget *budget // or nil
	slow   *time.Timer

	pumping bool   // a goroutine writes what is due
	next    uint64 // position of what is sent next
	ended   bool   // the end was sent
	asked   bool   // whether all was received
	left    bool   // the connection, which is spent
}

// attach makes stream the carrier of l, in place of an older one. The other
// side has received so much. It returns nil if the two cannot go on.
func (l *lasting) attach(stream network.Stream, r *bufio.Reader, received uint64) *carrier {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped && !l.heard(received) {
		l.fail(fmt.Errorf("%w: it went back to byte %d", errMalformed, received))
	}
	if l.stopped {
		return nil
	}
	stream.SetDeadline(time.Time{})
	c := &carrier{l: l, stream: stream, r: r, next: l.outAt, budget: l.node.budgetOf(stream.Conn())}
	if c.budget != nil {
		c.budget.join(c)
	}
	if old := l.carrier; old != nil {
		old.stream.Reset() // what it still carries is sent again
	}
	l.carrier, l.conn, l.carried = c, stream.Conn(), time.Now()
	l.toldRoom = 0 // it may not have been heard
	l.changed()
	return c
}

// heard notes that the other side has received so much. It reports false if
// that cannot be.
func (l *lasting) heard(received uint64) bool {
	end := l.outAt + uint64(l.out.len())
	switch {
	case received < l.outAt:
		return l.finAcked
	case received == end+1 && l.finished:
		l.finAcked = true
		received = end
	case received > end:
		return l.err != nil // what waited was thrown away
	}
	l.unsent.Shrink(int(received - l.outAt))
	l.out.drop(int(received - l.outAt))
	l.outAt = received
	l.hangUp()
	return true
}

// got returns what this side tells that it has received.
func (l *lasting) got() uint64 {
	if l.fin {
		return l.received + 1
	}
	return l.received
}

// send has what is due be written, if there is a carrier. The caller holds l.mu.
func (l *lasting) send() {
	if c := l.carrier; c != nil && !c.pumping && c.busy() {
		c.pumping = true
		l.node.lastings.work.Go(c.pump) // the reader of c has not ended
	}
}

// busy reports whether the pump has anything to do.
func (c *carrier) busy() bool {
	l := c.l
	end := l.outAt + uint64(l.out.len())
	spent := c.budget != nil && c.budget.isSpent()
	switch {
	case l.reset, l.over(), c.ackDue():
		return true
	case spent:
		return !c.asked || c.heardAll()
	case max(c.next, l.outAt) < min(end, l.limit):
		return true
	}
	return c.endDue() && max(c.next, l.outAt) == end
}

// ackDue reports whether the other side should hear what was received.
func (c *carrier) ackDue() bool {
	l := c.l
	got := l.got()
	return got-l.told >= ackEvery || l.room()-l.toldRoom >= window/4 || l.fin && got != l.told
}

// endDue reports whether the end is to be sent behind all data.
func (c *carrier) endDue() bool { return c.l.finished && c.l.err == nil && !c.ended }

// heardAll reports whether all that was asked for was received.
func (c *carrier) heardAll() bool {
	return c.asked && !c.left && c.l.outAt >= c.next && (!c.ended || c.l.finAcked)
}

// pump writes on c what is to be sent, until that is all or c is replaced or
// lost.
func (c *carrier) pump() {
	l := c.l
	buffer := batchBuffers.Get().(*[maxBatch]byte)
	defer batchBuffers.Put(buffer)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.carrier == c {
		b := c.batch(buffer[:0])
		if len(b) == 0 {
			if l.reset || l.over() {
				break
			}
			if c.heardAll() {
				c.left = true
				c.budget.leave(c)
			}
			c.pumping = false
			return
		}
		l.mu.Unlock()
		err := c.write(b)
		l.mu.Lock()
		if err != nil {
			c.stream.Reset() // the reader ends, and drops it
			return
		}
		if l.reset {
			l.stopped = true
			break
		}
	}
	if l.carrier == c {
		c.stream.CloseWrite()
		c.stream.SetReadDeadline(time.Now().Add(carrierTimeout)) // for the other side to do the same
		l.forgetSoon()
	}
}

// write writes b, and has the peer be suspected if that takes long.
func (c *carrier) write(b []byte) error {
	c.stream.SetWriteDeadline(time.Now().Add(carrierTimeout))
	if c.slow == nil {
		c.slow = time.AfterFunc(slowStep, func() { c.l.node.spawn(func() { c.l.node.suspect(c.l.peer) }) })
	} else {
		c.slow.Reset(slowStep)
	}
	_, err := c.stream.Write(b)
	c.slow.Stop()
	return err
}

// batch appends all pieces that are to be sent now, up to a write's worth.
func (c *carrier) batch(b []byte) []byte {
	for before := -1; before < len(b) && len(b)+maxPiece/2 <= maxBatch && (len(b) == 0 || !c.l.reset); {
		before = len(b)
		b = c.due(b)
	}
	return b
}

// due appends the pieces that are to be sent now.
func (c *carrier) due(b []byte) []byte {
	l := c.l
	if l.reset {
		return (&piece{kind: pieceReset}).append(b)
	}
	if c.ackDue() {
		l.told, l.toldRoom = l.got(), l.room()
		b = (&piece{kind: pieceAck, at: l.told, room: l.toldRoom}).append(b)
	}
	c.next = max(c.next, l.outAt)
	if c.budget != nil && c.budget.isSpent() {
		return c.ask(b)
	}
	end := l.outAt + uint64(l.out.len())
	most := min(maxPiece, maxBatch-len(b)-pieceHeads)
	if upTo := min(end, l.limit, c.next+uint64(most)); c.next < upTo {
		data := l.out.part(int(c.next-l.outAt), int(upTo-l.outAt))
		if c.budget != nil && !c.budget.take(len(data)+16) {
			return c.ask(b)
		}
		b = (&piece{kind: pieceData, at: c.next, data: data}).append(b)
		c.next += uint64(len(data))
	}
	if c.next == end && c.endDue() {
		b = (&piece{kind: pieceEnd, at: end}).append(b)
		c.ended = true
	}
	return b
}

// ask appends a question whether all was received that c carried, once.
func (c *carrier) ask(b []byte) []byte {
	if c.asked {
		return b
	}
	c.asked = true
	return (&piece{kind: pieceAsk}).append(b)
}

// read takes in what comes on c until c ends.
func (c *carrier) read() {
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
			err = l.take(&p)
		}
	}
	c.stream.Reset()
	if c.budget != nil {
		c.budget.leave(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.carrier != c {
		return
	}
	l.carrier, l.lost = nil, time.Now()
	l.changed()
	switch {
	case l.over():
		l.forgetSoon()
	case l.reset: // who asks for it hears that it is unknown
		l.stopped = true
		l.forgetSoon()
	default:
		l.revive()
	}
}

// readData reads the data of a piece and takes them in. They count as unread from
// when they were announced, so that a peer that does not send them pays for the
// memory.
func (c *carrier) readData(p *piece) error {
	l := c.l
	counted := 0
	if !l.isDeaf() {
		if !l.unread.Grow(p.size) {
			l.mu.Lock()
			l.overrun()
			l.mu.Unlock()
			_, err := c.r.Discard(p.size)
			return err
		}
		counted = p.size
	}
	buffer := pieceBuffers.Get().(*[maxPiece]byte)
	defer pieceBuffers.Put(buffer)
	p.data = buffer[:p.size]
	_, err := io.ReadFull(c.r, p.data)
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := 0
	if err == nil {
		kept, err = l.takeData(p)
	}
	l.unread.Shrink(counted - kept)
	return err
}

func (l *lasting) isDeaf() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deaf
}

// take takes a piece without data in.
func (l *lasting) take(p *piece) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p.kind {
	case pieceReset:
		l.fail(network.ErrReset)
		l.forgetSoon()
	case pieceAck:
		if !l.heard(p.at) {
			return errMalformed
		}
		l.limit = max(l.limit, p.room)
	case pieceAsk:
		l.toldRoom = 0 // so that an ack is due
	case pieceEnd:
		if p.at != l.received {
			return errMalformed
		}
		l.fin = true
	}
	l.changed()
	return nil
}

// takeData takes data in, and returns how many bytes of them are kept.
func (l *lasting) takeData(p *piece) (kept int, err error) {
	if p.at > l.received || l.fin && p.at+uint64(len(p.data)) > l.received {
		return 0, errMalformed
	}
	known := l.received - p.at
	if known >= uint64(len(p.data)) {
		return 0, nil // sent again by a new carrier
	}
	data := p.data[known:]
	if !l.deaf && l.in.len()+len(data) > window {
		return 0, errMalformed
	}
	l.received += uint64(len(data))
	if !l.deaf && l.err != errFull {
		l.in.push(data)
		kept = len(data)
	}
	l.cond.Broadcast()
	l.send()
	return kept, nil
}
