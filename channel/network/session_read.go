package network

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/dstackless/dstackless/codec"
)

// read hands each frame to the channel it is for until the stream ends.
func (s *session) read() error {
	r := bufio.NewReaderSize(activityReader{s}, 16<<10)
	var f frame // which nobody keeps
	for {
		n, err := codec.NextFrame(r, maxFrameBytes)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case n <= smallFrameBytes:
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
	if !s.charge(n) {
		return errMemory
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
		cs := s.space.byKey(f.key)
		if cs == nil || f.proof != nameProof(cs.secret, s.peer, s.space.node.ID()) {
			s.send(frame{kind: unknown, key: f.key})
			return nil
		}
		if err := s.number(cs, f.number); err != nil {
			return err
		}
		cs.onHello(s, f)
		return nil
	case ping:
		return nil
	case unknown:
		if cs := s.space.byKey(f.key); cs != nil {
			cs.onUnknown(s)
		}
		return nil
	case send, deliver:
		if err := s.dropAcked(f.acked); err != nil {
			return err
		}
	case accept:
		if f.peer == "" {
			s.mu.Lock()
			s.acceptsReceived++
			s.mu.Unlock()
		}
	}
	// A frame for a channel that was left meanwhile: its sender knows soon.
	if cs := s.numbers[f.number]; cs != nil {
		if f.kind == leave {
			s.unnumber(f.number)
		}
		return cs.handle(s, f)
	}
	return nil
}

// number notes the other side's number of a channel. It has one for each.
func (s *session) number(cs *channelState, number uint64) error {
	// The number of a channel that was left here, and opened again, stays.
	if old := s.numbers[number]; old != nil && old.key != cs.key {
		return fmt.Errorf("channel number %d given twice", number)
	}
	if len(s.numbers) == 0 {
		s.space.node.Recognize(s.peer) // it has proved that it knows the name
		s.memory.move(s.openShare())
	}
	if before, ok := s.numberOf[cs.key]; ok && before != number {
		delete(s.numbers, before)
	} else if !ok && !s.charge(numberBytes) {
		return errMemory
	}
	s.numbers[number], s.numberOf[cs.key] = cs, number
	if len(s.numbers) > 2*s.swept+64 {
		s.sweep()
	}
	return nil
}

// unnumber forgets a number.
func (s *session) unnumber(number uint64) {
	delete(s.numberOf, s.numbers[number].key)
	delete(s.numbers, number)
	s.memory.remove(numberBytes)
}

// sweep forgets the numbers of channels that were left here.
func (s *session) sweep() {
	for number, cs := range s.numbers {
		cs.mu.Lock()
		gone := cs.gone
		cs.mu.Unlock()
		if gone {
			s.unnumber(number)
		}
	}
	s.swept = len(s.numbers)
}

// dropAcked drops the first accepts, which the other side has heard.
func (s *session) dropAcked(heard uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := heard - s.ackedCount
	if n > uint64(len(s.unacked)) {
		return errors.New("peer heard more than was said")
	}
	s.unacked, s.ackedCount = s.unacked[n:], heard
	return nil
}
