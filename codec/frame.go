package codec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// eager is how many bytes of a frame are allocated on the word of its length
// alone. A longer frame's buffer grows as its bytes arrive.
const eager = 256 << 10

// AppendFrame appends payload to dst as one frame: its length as an unsigned
// varint, then its bytes.
func AppendFrame(dst, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// WriteFrame writes payload to w as one frame, in one call of Write.
func WriteFrame(w io.Writer, payload []byte) error {
	_, err := w.Write(AppendFrame(make([]byte, 0, len(payload)+binary.MaxVarintLen64), payload))
	return err
}

// ReadFrame reads one frame of at most limit bytes and returns its payload,
// which the caller owns.
//
// It returns io.EOF at the end of the stream between two frames,
// io.ErrUnexpectedEOF in the middle of one, and an error that wraps
// [ErrTooLarge], before it allocates, for a frame over the limit, or
// [ErrMalformed] for a length that [AppendFrame] does not write.
func ReadFrame(r *bufio.Reader, limit int) ([]byte, error) {
	size, err := NextFrame(r, limit)
	if err != nil {
		return nil, err
	}
	return ReadBody(r, size)
}

// NextFrame reads the length of the next frame, with the errors of [ReadFrame].
// The payload follows: it is read with [ReadBody], or from r.
func NextFrame(r *bufio.Reader, limit int) (int, error) {
	size, err := readLength(r)
	if err != nil {
		return 0, err
	}
	if size > uint64(max(limit, 0)) {
		return 0, tooLarge("frame", int(min(size, math.MaxInt)), limit)
	}
	return int(size), nil
}

// ReadBody reads the payload of a frame, size bytes, which the caller owns.
func ReadBody(r *bufio.Reader, size int) ([]byte, error) {
	payload := make([]byte, 0, min(size, eager))
	for n := 0; n < size; n = len(payload) {
		if n == cap(payload) {
			payload = append(payload, 0)[:n] // grows as append does
		}
		next := payload[n:min(cap(payload), size)]
		if _, err := io.ReadFull(r, next); err != nil {
			return nil, unexpected(err)
		}
		payload = payload[:n+len(next)]
	}
	return payload, nil
}

// readLength reads the frame's length in its shortest form, the only one that
// AppendFrame writes.
func readLength(r *bufio.Reader) (uint64, error) {
	var size uint64
	for shift := uint(0); ; shift += 7 {
		b, err := r.ReadByte()
		switch {
		case err != nil && shift > 0:
			return 0, unexpected(err)
		case err != nil:
			return 0, err
		case shift == 63 && b > 1, shift > 0 && b == 0:
			return 0, fmt.Errorf("codec: frame length is %w", ErrMalformed)
		}
		size |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return size, nil
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
