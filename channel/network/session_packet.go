package network

import (
	"encoding/binary"
	"sync"

	"github.com/dstackless/dstackless/p2p"
)

// packetBytes is up to which size frames, and values of at most maxInlineBytes, are
// copied behind each other to leave in one write. Larger values are
// written as they are.
const packetBytes = maxInlineBytes + 32<<10

// A chunk is what goes out in one write: frames, or a large value.
type chunk struct {
	packet       *packet
	value        []byte
	relayedBytes int // bytes of values that are another peer's
}

// A packet holds frames. Packets are recycled.
type packet struct{ b []byte }

var packets = sync.Pool{New: func() any { return new(packet) }}

// packet returns the packet that a frame with a value of size bytes goes into.
func (s *session) packet(size int) *packet {
	if n := len(s.outgoing); n > 0 {
		if p := s.outgoing[n-1].packet; p != nil && len(p.b)+min(size, maxInlineBytes) <= packetBytes {
			return p
		}
	}
	p := packets.Get().(*packet)
	s.outgoing = append(s.outgoing, chunk{packet: p})
	return p
}

func (w chunk) writeTo(stream p2p.Stream) error {
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
