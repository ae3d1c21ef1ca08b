package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
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
)

// A carrier is a stream of a connection that carries a lasting stream.
type carrier struct {
	l      *lasting
	stream network.Stream
	r      *bufio.Reader
	budget *budget // or nil
	next   uint64  // position of what is sent next
	ended  bool    // the end was sent
	asked  bool    // whether all was received
	left   bool    // the connection, which is spent
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

// pump writes on c what is to be sent, until c is replaced or lost or there is
// nothing to do any more.
func (c *carrier) pump() {
	l := c.l
	b := make([]byte, 0, maxBatch)
	slow := time.AfterFunc(slowStep, func() { l.node.spawn(func() { l.node.suspect(l.peer) }) })
	slow.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.carrier == c {
		b = c.batch(b[:0])
		last := l.reset || l.over()
		if len(b) == 0 {
			if last {
				break
			}
			if c.asked && !c.left && (l.outAt >= c.next && (!c.ended || l.finAcked)) {
				c.left = true
				c.budget.leave(c)
			}
			l.work.Wait()
			continue
		}
		l.mu.Unlock()
		c.stream.SetWriteDeadline(time.Now().Add(carrierTimeout))
		slow.Reset(slowStep)
		_, err := c.stream.Write(b)
		slow.Stop()
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
	if got, room := l.got(), l.room(); got-l.told >= ackEvery || room-l.toldRoom >= window/4 || l.fin && got != l.told {
		b = (&piece{kind: pieceAck, at: got, room: room}).append(b)
		l.told, l.toldRoom = got, room
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
	if c.next == end && l.finished && l.err == nil && !c.ended {
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
		if p, err = readPiece(c.r); err == nil {
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
	if !l.over() && !l.reset {
		l.revive()
	}
}

// take takes a piece in.
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
	case pieceData:
		return l.takeData(p)
	}
	l.changed()
	return nil
}

func (l *lasting) takeData(p *piece) error {
	if p.at > l.received || l.fin && p.at+uint64(len(p.data)) > l.received {
		return errMalformed
	}
	if known := l.received - p.at; known >= uint64(len(p.data)) {
		return nil // sent again by a new carrier
	} else {
		p.data = p.data[known:]
	}
	if !l.deaf && l.in.len()+len(p.data) > window {
		return errMalformed
	}
	l.received += uint64(len(p.data))
	if !l.deaf {
		if !l.node.lastings.take(l.peer, len(p.data)) {
			l.reset = true
			l.fail(errFull)
			return nil
		}
		l.in.push(p.data)
	}
	l.cond.Broadcast()
	if l.received-l.told >= ackEvery {
		l.work.Broadcast()
	}
	return nil
}
