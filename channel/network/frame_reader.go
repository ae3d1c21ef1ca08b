package network

import (
	"encoding/binary"

	"github.com/dstackless/dstackless/p2p"
)

// A reader takes fields off the front of rest until one is not there.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uvarint takes a varint in its shortest form only, so that a frame has one
// encoding.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) hash(h *hash) { copy(h[:], r.bytes(uint64(len(h)))) }

func (r *reader) string(limit uint64) string {
	n := r.uvarint()
	if n > limit {
		r.fail()
		return ""
	}
	return string(r.bytes(n))
}

func (r *reader) id() p2p.ID { return p2p.ID(r.string(maxIDBytes)) }

func (r *reader) addrs() []string {
	n := int(r.byte())
	if n > maxAddrCount {
		r.fail()
	}
	var addrs []string
	left := maxAddrsBytes
	for i := 0; i < n && !r.failed; i++ {
		a := r.string(maxAddrBytes)
		if left -= len(a); left < 0 {
			r.fail()
		}
		addrs = append(addrs, a)
	}
	return addrs
}
