package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// resumableProtocol is spoken on the streams that carry resumable ones. The side
// that brings a link begins with a hello, the other answers it, and then
// both send pieces:
//
//	hello   kind(1) id(16) received(uvarint) count(uvarint) {length(uvarint) protocol}
//	answer  verdict(1) received(uvarint) length(uvarint) protocol
//	piece   kind(1) and then
//	        data   position(uvarint) length(uvarint) bytes
//	        ack    received(uvarint) room(uvarint)
//	        end    position(uvarint)
//	        ask    for an ack at once
//	        reset
//
// Received counts bytes, and one more for the end. Room is the position up to
// which there is room for more.
const resumableProtocol Protocol = "/dstackless/resumable/1.0.0"

const (
	pieceMaxBytes        = 16 << 10 // bytes of a stream in one piece
	helloProtocolsMax    = 8        // in a hello
	protocolNameMaxBytes = 128      // bytes of a protocol's name
)

type helloKind byte

const (
	helloOpen   helloKind = iota + 1 // a new stream
	helloResume                      // another link for one that both know
)

type hello struct {
	kind      helloKind
	id        streamID
	received  uint64
	protocols []Protocol
}

type verdict byte

const (
	verdictYes        verdict = iota // the stream is carried
	verdictUnknown                   // no such stream
	verdictNoProtocol                // none of the protocols is spoken
	verdictFull                      // too many streams
	verdictBusy                      // this side brings a link itself
)

type answer struct {
	verdict  verdict
	received uint64
	protocol Protocol
}

type pieceKind byte

const (
	pieceData pieceKind = iota + 1
	pieceAck
	pieceEnd
	pieceReset
	pieceAsk
)

type piece struct {
	kind pieceKind
	at   uint64 // position; of an ack: what was received
	room uint64 // of an ack
	data []byte
	size int // of data that is to be read
}

var errMalformed = errors.New("malformed link of a resumable stream")

func (h *hello) append(b []byte) []byte {
	b = append(append(b, byte(h.kind)), h.id[:]...)
	b = binary.AppendUvarint(b, h.received)
	b = binary.AppendUvarint(b, uint64(len(h.protocols)))
	for _, p := range h.protocols {
		b = appendText(b, p)
	}
	return b
}

func appendText(b []byte, p Protocol) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

func readHello(r *bufio.Reader) (h hello, err error) {
	kind, err := r.ReadByte()
	if err != nil {
		return h, err
	}
	h.kind = helloKind(kind)
	if h.kind != helloOpen && h.kind != helloResume {
		return h, fmt.Errorf("%w: hello of kind %d", errMalformed, kind)
	}
	if _, err := io.ReadFull(r, h.id[:]); err != nil {
		return h, err
	}
	if h.received, err = binary.ReadUvarint(r); err != nil {
		return h, err
	}
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return h, err
	}
	if count == 0 || count > helloProtocolsMax {
		return h, fmt.Errorf("%w: %d protocols", errMalformed, count)
	}
	for range count {
		p, err := readText(r)
		if err != nil {
			return h, err
		}
		h.protocols = append(h.protocols, p)
	}
	return h, nil
}

func readText(r *bufio.Reader) (Protocol, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return "", err
	}
	if n > protocolNameMaxBytes {
		return "", fmt.Errorf("%w: protocol name of %d bytes", errMalformed, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	return Protocol(b), nil
}

func (a *answer) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, byte(a.verdict)), a.received)
	return appendText(b, a.protocol)
}

func readAnswer(r *bufio.Reader) (a answer, err error) {
	v, err := r.ReadByte()
	if err != nil {
		return a, err
	}
	a.verdict = verdict(v)
	if a.verdict > verdictBusy {
		return a, fmt.Errorf("%w: verdict %d", errMalformed, v)
	}
	if a.received, err = binary.ReadUvarint(r); err != nil {
		return a, err
	}
	a.protocol, err = readText(r)
	return a, err
}

func (p *piece) append(b []byte) []byte {
	b = append(b, byte(p.kind))
	switch p.kind {
	case pieceData:
		b = binary.AppendUvarint(b, p.at)
		b = binary.AppendUvarint(b, uint64(len(p.data)))
		b = append(b, p.data...)
	case pieceAck:
		b = binary.AppendUvarint(b, p.at)
		b = binary.AppendUvarint(b, p.room)
	case pieceEnd:
		b = binary.AppendUvarint(b, p.at)
	}
	return b
}

// readPiece reads a piece but for its data, which come next.
func readPiece(r *bufio.Reader) (p piece, err error) {
	kind, err := r.ReadByte()
	if err != nil {
		return p, err
	}
	p.kind = pieceKind(kind)
	if p.kind < pieceData || p.kind > pieceAsk {
		return p, fmt.Errorf("%w: piece of kind %d", errMalformed, kind)
	}
	if p.kind == pieceReset || p.kind == pieceAsk {
		return p, nil
	}
	if p.at, err = binary.ReadUvarint(r); err != nil {
		return p, err
	}
	switch p.kind {
	case pieceAck:
		p.room, err = binary.ReadUvarint(r)
	case pieceData:
		var n uint64
		if n, err = binary.ReadUvarint(r); err != nil {
			return p, err
		}
		if n == 0 || n > pieceMaxBytes {
			return p, fmt.Errorf("%w: piece of %d bytes", errMalformed, n)
		}
		p.size = int(n)
	}
	return p, err
}
