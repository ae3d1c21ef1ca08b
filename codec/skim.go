package codec

import (
	"fmt"
	"math"
)

// A skimmer reads a gob stream without decoding it. Its first failure is in
// err; from then on everything reads as zero.
type skimmer struct {
	data     []byte
	pos, end int // what is left of the current message; the next one follows
	err      error

	memory     int // bytes that the value may still take
	typeMemory int // bytes that its types may still take
	types      map[int32]*wireType
	nodes      map[nodeKey]*node
}

func (s *skimmer) fail(format string, args ...any) {
	s.failWith(fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...))
}

func (s *skimmer) failWith(err error) {
	if s.err == nil {
		s.err = err
	}
	s.pos, s.end = len(s.data), len(s.data)
}

// charge takes n times size bytes off the memory of the value.
func (s *skimmer) charge(n, size int) {
	if size <= 0 || n <= 0 {
		return
	}
	if n > s.memory/size {
		s.failWith(fmt.Errorf("value is %w: its %d bytes become more than %d bytes of memory", ErrTooLarge, len(s.data), MaxMemory))
		return
	}
	s.memory -= n * size
}

// chargeType takes bytes off the memory of the types.
func (s *skimmer) chargeType(size int) {
	if s.typeMemory -= size; s.typeMemory < 0 {
		s.failWith(fmt.Errorf("types of the value are %w: they have too many fields of long types", ErrTooLarge))
	}
}

// message enters the next message.
func (s *skimmer) message() {
	s.end = len(s.data)
	if n := s.length(); n > 0 {
		s.end = s.pos + n
	} else {
		s.fail("empty message")
	}
}

// uint reads an unsigned integer, in the form that gob's encoder writes.
func (s *skimmer) uint() uint64 {
	if s.pos >= s.end || s.data[s.pos] >= 0x80 {
		return s.longUint()
	}
	s.pos++
	return uint64(s.data[s.pos-1])
}

func (s *skimmer) longUint() uint64 {
	if s.pos == s.end {
		s.fail("cut short at byte %d", s.pos)
		return 0
	}
	n := -int(int8(s.data[s.pos]))
	if n > 8 || n >= s.end-s.pos {
		s.fail("integer at byte %d", s.pos)
		return 0
	}
	var u uint64
	for _, b := range s.data[s.pos+1 : s.pos+1+n] {
		u = u<<8 | uint64(b)
	}
	if u < 0x80 || u>>(8*(n-1)) == 0 {
		s.fail("integer at byte %d is not in its shortest form", s.pos)
		return 0
	}
	s.pos += 1 + n
	return u
}

// id reads a signed integer of 32 bits.
func (s *skimmer) id() int32 {
	u := s.uint()
	i := int64(u >> 1)
	if u&1 != 0 {
		i = ^i
	}
	if i <= math.MinInt32 || i > math.MaxInt32 {
		s.fail("type id %d", i)
		return 0
	}
	return int32(i)
}

// length reads a number of bytes, which the current message must have.
func (s *skimmer) length() int {
	n := s.uint()
	if n > uint64(s.end-s.pos) {
		s.fail("length %d at byte %d with %d bytes left", n, s.pos, s.end-s.pos)
		return 0
	}
	return int(n)
}

// count reads a number of elements. Each takes a byte at least, but they may
// be in later messages: see sequence.
func (s *skimmer) count() int {
	n := s.uint()
	if n > uint64(len(s.data)-s.pos) {
		s.fail("count %d at byte %d with %d bytes left", n, s.pos, len(s.data)-s.pos)
		return 0
	}
	return int(n)
}

// bytes reads a length and returns as many bytes, which are the stream's.
func (s *skimmer) bytes() []byte {
	n := s.length()
	s.pos += n
	return s.data[s.pos-n : s.pos]
}
