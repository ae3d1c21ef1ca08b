package program

import "unicode/utf8"

// A reader takes WebAssembly's encodings from the front of a slice. The first
// fault sticks: all later reads return zeros, so that a caller may read a whole
// structure and look at err once. Nothing it returns is longer than what is
// left, so a length from outside never decides an allocation.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.data = true, nil }

// err returns a refusal when a read failed.
func (r *reader) err(what string) error {
	if r.bad {
		return refuse(Truncated, "in %s", what)
	}
	return nil
}

// end returns a refusal when a read failed or bytes are left.
func (r *reader) end(what string) error {
	if len(r.data) > 0 {
		r.fail()
	}
	return r.err(what)
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.fail()
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// bytes returns the next n bytes.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.data)) {
		r.fail()
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	r.fail()
	return 0
}

// signed reads a signed LEB128 number of at most bits bits, 32 or 64.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < (bits+6)/7*7; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			if bits == 32 && v != int64(int32(v)) {
				break
			}
			return v
		}
	}
	r.fail()
	return 0
}

// count reads the number of the elements that follow, each of at least size
// bytes.
func (r *reader) count(size int) int {
	n := r.u32()
	if uint64(n)*uint64(size) > uint64(len(r.data)) {
		r.fail()
		return 0
	}
	return int(n)
}

// name reads a UTF-8 string.
func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail()
		return ""
	}
	return string(b)
}

// skip takes prefix from the front and reports whether it was there.
func (r *reader) skip(prefix ...byte) bool {
	if len(r.data) < len(prefix) || string(r.data[:len(prefix)]) != string(prefix) {
		return false
	}
	r.data = r.data[len(prefix):]
	return true
}
