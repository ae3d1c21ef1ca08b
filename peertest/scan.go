package peertest

// A scanner follows the frames of one direction of a stream: each is its length
// as an unsigned varint, and then its bytes, of which the first tells what it
// is.
type scanner struct {
	language
	skip   int    // bytes before the first frame that are still to come
	length uint64 // of the frame whose head is being read
	shift  uint
	headed bool   // length is known
	left   uint64 // bytes of the frame that are still to come
	frame  Frame
}

func newScanner(l language) scanner { return scanner{language: l, skip: l.preamble} }

// next takes bytes off the front of b up to the next point where a frame begins
// or ends, and returns how many. A frame begins with bytes that tell what it is:
// they are among those taken.
func (s *scanner) next(b []byte) (n int, begins, ends bool) {
	switch {
	case s.skip > 0:
		n = min(s.skip, len(b))
		s.skip -= n
		return n, false, false
	case s.left > 0:
		n = int(min(s.left, uint64(len(b))))
		s.left -= uint64(n)
		return n, false, s.left == 0
	}
	for i, c := range b {
		if !s.headed {
			s.length |= uint64(c&0x7f) << s.shift
			s.shift += 7
			s.headed = c < 0x80
			if s.headed && s.length == 0 { // a frame of nothing
				s.headed, s.shift = false, 0
			}
			continue
		}
		s.frame = Frame(s.prefix + s.name(c))
		s.left = s.length - 1
		s.length, s.shift, s.headed = 0, 0, false
		return i + 1, true, s.left == 0
	}
	return len(b), false, false
}
