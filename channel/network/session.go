package network

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

const (
	// writeTimeout is how long a peer may leave its end of a stream unread
	// before it is given up, and half of it how long it surely may.
	writeTimeout = 30 * time.Second

	// maxReplies is how many bytes of answers may wait for a peer that asks
	// and does not read.
	maxReplies = 4 << 20

	// small is the size up to which frames are read without a buffer of
	// their own.
	small = 4 << 10
)

// A session is one stream to a peer, on which all channels that both use are
// multiplexed. What is said on a session ends with it. Two peers that dial
// each other at once have two, which does no harm.
type session struct {
	space  *Space
	peer   p2p.ID
	run    uint64 // differs each time the peer at the other end starts
	stream p2p.Stream

	// For the reader alone.
	numbers  map[uint64]*member // by the other side's number
	numberOf map[hash]uint64    // the other side's number of a channel
	swept    int                // how many numbers were left when they were last swept

	memory  ledger
	failure atomic.Pointer[error] // why this side ends the session

	mu      sync.Mutex
	out     []written // what the writer writes next
	replies int       // bytes of out beside values
	passed  int       // bytes of values that were passed on, and not written yet
	// Bytes of values that wait for the peer to read them, though nobody sends
	// them any more: those of before the writer took out, and since.
	abandoned, abandonedSince int
	dead                      bool
	wake                      chan struct{} // capacity 1
	ties                      map[*member]struct{}
	pulse                     pulse

	// Accepts that were sent and which the other side has not yet said to
	// have heard, in order; and how many of its own were heard.
	accepts []uint64
	dropped uint64 // how many accepts left the front
	heard   uint64

	void atomic.Bool // the peer has lost the session, and what still comes of it does not count

	closing  bool          // no more will be sent
	wrote    chan struct{} // the writer has ended
	finished chan struct{} // the reader has ended
}

// greet exchanges the first bytes of a stream: which life of each peer it is.
func greet(stream p2p.Stream, run uint64) (uint64, error) {
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

// send queues f for the writer. It never blocks; on a dead session it does
// nothing, because the members tied to it learn of its end.
func (s *session) send(f frame) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		if f.kind == accept && f.peer == "" {
			s.space.keepTaken(s.peer, s.peer, f.send) // its owner will ask
		}
		return
	}
	defer s.mu.Unlock()
	s.queue(f, 0)
}

// pass is send for a value of another peer, which counts as kept for the one at
// the other end until it is written. It reports false if that has too much
// already.
func (s *session) pass(f frame) bool {
	if !s.memory.add(len(f.value)) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.passed+len(f.value) > maxPassed {
		s.memory.remove(len(f.value))
		return false
	}
	s.passed += len(f.value)
	s.queue(f, len(f.value))
	return true
}

// queue puts f into out, of which so many bytes were passed on. The caller holds
// s.mu.
func (s *session) queue(f frame, passed int) {
	switch f.kind {
	case send, deliver:
		f.heard = s.heard
	case accept:
		if f.peer == "" {
			s.accepts = append(s.accepts, f.send)
		}
	}
	last := s.packet(len(f.value))
	before := len(last.b)
	last.b = appendHead(last.b, &f)
	s.replies += len(last.b) - before
	if len(f.value) > inline {
		s.out = append(s.out, written{value: f.value})
	} else {
		last.b = append(last.b, f.value...)
	}
	s.out[len(s.out)-1].passed += passed
	if s.replies > maxReplies || len(s.accepts) > maxReplies/8 {
		s.dead = true
		s.end(errUnread)
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

var errUnread = fmt.Errorf("the peer leaves more than %d bytes of answers unread", maxReplies)

// abandon notes that nobody waits any more for a value that the peer may not have
// read yet. One that reads too little of what it has asked for is given up.
func (s *session) abandon(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandonedSince += size
	if s.abandoned+s.abandonedSince > maxAbandoned {
		s.end(errAbandoned)
	}
}

var errAbandoned = fmt.Errorf("the peer leaves more than %d bytes of values unread, which it has asked for, and nobody sends any more", maxAbandoned)

// hasAccepted reports whether a send of the peer was accepted on this session,
// and the peer has not said that it heard so.
func (s *session) hasAccepted(send uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.accepts, send)
}

// write writes what send queued until the session ends.
func (s *session) write() {
	defer close(s.wrote)
	var spare []written
	var patient time.Time // for so long it is not necessary to set the deadline anew
	for {
		select {
		case <-s.wake:
		case <-s.finished:
			return
		}
		s.mu.Lock()
		out := s.out
		s.out, s.replies = spare, 0
		s.abandoned, s.abandonedSince = s.abandonedSince, 0
		s.pulse.said = true
		closing := s.closing
		s.mu.Unlock()
		if now := time.Now(); now.After(patient) {
			s.stream.SetWriteDeadline(now.Add(writeTimeout))
			patient = now.Add(writeTimeout / 2)
		}
		for _, w := range out {
			if err := w.writeTo(s.stream); err != nil {
				s.stream.Reset()
				return
			}
			s.wrotePassed(w.passed)
		}
		if closing {
			s.stream.CloseWrite()
			return
		}
		clear(out)
		spare = out[:0]
	}
}

// wrotePassed notes that values of other peers are written.
func (s *session) wrotePassed(size int) {
	if size == 0 {
		return
	}
	s.mu.Lock()
	s.passed -= size
	s.mu.Unlock()
	s.memory.remove(size)
}

// read hands each frame to the member it is for until the stream ends.
func (s *session) read() error {
	r := bufio.NewReaderSize(ear{s}, 16<<10)
	var f frame // which nobody keeps
	for {
		n, err := codec.NextFrame(r, maxFrame)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case n <= small:
			err = s.readSmall(r, n, &f)
		case len(s.numbers) == 0: // it can be of no channel, and a hello is small
			_, err = r.Discard(n)
		default:
			err = s.readLarge(r, n, &f)
		}
		if err != nil {
			return err
		}
	}
}

// readSmall takes a frame of n bytes, and does not keep more than its value.
func (s *session) readSmall(r *bufio.Reader, n int, f *frame) error {
	b, err := r.Peek(n)
	if err != nil {
		return err
	}
	if *f, err = parseFrame(b); err != nil {
		return err
	}
	f.value = bytes.Clone(f.value) // which is kept; the rest was copied
	r.Discard(n)
	return s.handle(f)
}

// readLarge takes a frame of n bytes.
func (s *session) readLarge(r *bufio.Reader, n int, f *frame) error {
	if !s.keep(n) {
		return errKept
	}
	defer s.memory.remove(n)
	b, err := codec.ReadBody(r, n)
	if err != nil {
		return err
	}
	if *f, err = parseFrame(b); err != nil {
		return err
	}
	return s.handle(f)
}

func (s *session) handle(f *frame) error {
	switch f.kind {
	case hello:
		m := s.space.byKey(f.key)
		if m == nil || f.proof != prove(m.secret, s.peer, s.space.node.ID()) {
			s.send(frame{kind: unknown, key: f.key})
			return nil
		}
		if err := s.number(m, f.number); err != nil {
			return err
		}
		m.onHello(s, f)
		return nil
	case ping:
		return nil
	case unknown:
		if m := s.space.byKey(f.key); m != nil {
			m.onUnknown(s)
		}
		return nil
	case send, deliver:
		if err := s.forget(f.heard); err != nil {
			return err
		}
	case accept:
		if f.peer == "" {
			s.mu.Lock()
			s.heard++
			s.mu.Unlock()
		}
	}
	// A frame for a channel that was left meanwhile: its sender knows soon.
	if m := s.numbers[f.number]; m != nil {
		if f.kind == leave {
			s.unnumber(f.number)
		}
		return m.handle(s, f)
	}
	return nil
}

// number notes the other side's number of a channel. It has one for each.
func (s *session) number(m *member, number uint64) error {
	// The number of a channel that was left here, and opened again, stays.
	if old := s.numbers[number]; old != nil && old.key != m.key {
		return fmt.Errorf("channel number %d given twice", number)
	}
	if len(s.numbers) == 0 {
		s.space.node.Recognize(s.peer) // it has proved that it knows the name
		s.memory.move(s.openShare())
	}
	if before, ok := s.numberOf[m.key]; ok && before != number {
		delete(s.numbers, before)
	} else if !ok && !s.keep(numberCost) {
		return errKept
	}
	s.numbers[number], s.numberOf[m.key] = m, number
	if len(s.numbers) > 2*s.swept+64 {
		s.sweep()
	}
	return nil
}

// unnumber forgets a number.
func (s *session) unnumber(number uint64) {
	delete(s.numberOf, s.numbers[number].key)
	delete(s.numbers, number)
	s.memory.remove(numberCost)
}

// sweep forgets the numbers of channels that were left here.
func (s *session) sweep() {
	for number, m := range s.numbers {
		m.mu.Lock()
		gone := m.gone
		m.mu.Unlock()
		if gone {
			s.unnumber(number)
		}
	}
	s.swept = len(s.numbers)
}

// forget drops the first accepts, which the other side has heard.
func (s *session) forget(heard uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := heard - s.dropped
	if n > uint64(len(s.accepts)) {
		return errors.New("peer heard more than was said")
	}
	s.accepts, s.dropped = s.accepts[n:], heard
	return nil
}

// tie records that m is to be told when s ends. It reports false if it has.
func (s *session) tie(m *member) bool {
	if !s.keep(tieCost) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		s.ties[m] = struct{}{}
	}
	return !s.dead
}

func (s *session) untie(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, tied := s.ties[m]; tied {
		delete(s.ties, m)
		s.memory.remove(tieCost)
	}
}

// hangUp lets the writer write what is queued, and end.
func (s *session) hangUp() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// serve runs the session until its stream ends, and then tells the members.
func (s *session) serve() {
	defer s.space.wg.Done()
	s.space.spawn(s.write)
	err := s.read()
	if err == nil { // the other side has said all, and may still listen
		s.hangUp()
		<-s.wrote
	}
	s.stream.Reset()
	close(s.finished)
	s.space.drop(s)
	if failure := s.failure.Load(); failure != nil {
		err = *failure
	}
	if err != nil {
		s.space.log.Debug("channel session ended", "peer", s.peer, "reason", err)
	}
}
