package network

import (
	"encoding/binary"
	"sync"

	"github.com/dstackless/dstackless/p2p"
)

// packetSize is up to which size frames, and values of at most inline, are
// copied behind each other to leave in one write. Larger values are
// written as they are.
const packetSize = inline + 32<<10

// A written is what goes out in one write: frames, or a large value.
type written struct {
	packet *packet
	value  []byte
	passed int // bytes of values that are another peer's
}

// A packet holds frames. Packets are recycled.
type packet struct{ b []byte }

var packets = sync.Pool{New: func() any { return new(packet) }}

// packet returns the packet that a frame with a value of size bytes goes into.
func (s *session) packet(size int) *packet {
	if n := len(s.out); n > 0 {
		if p := s.out[n-1].packet; p != nil && len(p.b)+min(size, inline) <= packetSize {
			return p
		}
	}
	p := packets.Get().(*packet)
	s.out = append(s.out, written{packet: p})
	return p
}

func (w written) writeTo(stream p2p.Stream) error {
	if w.packet == nil {
		_, err := stream.Write(w.value)
		return err
	}
	_, err := stream.Write(w.packet.b)
	w.packet.b = w.packet.b[:0]
	packets.Put(w.packet)
	return err
}

// appendHead appends f as a frame, without its value.
func appendHead(dst []byte, f *frame) []byte {
	var body [512]byte
	head := f.append(body[:0])
	dst = binary.AppendUvarint(dst, uint64(len(head)+len(f.value)))
	return append(dst, head...)
}
