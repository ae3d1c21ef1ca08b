package abi

import (
	"encoding/binary"
	"errors"
)

// MaxString is the length of the longest channel name or peer in a request, in
// bytes.
const MaxString = 4096

// ErrMalformed says that bytes are not what they should be. A decoder takes the
// one encoding that its counterpart makes, and no other.
var ErrMalformed = errors.New("abi: malformed")

// AppendString appends the payload of a request that names a channel or a peer.
func AppendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ParseString is the inverse of AppendString.
func ParseString(b []byte) (string, error) {
	s, rest, ok := cut(b, MaxString)
	if !ok || len(rest) > 0 {
		return "", ErrMalformed
	}
	return string(s), nil
}

// AppendSend appends the payload of KindSend.
func AppendSend(b []byte, name string, value []byte) []byte {
	return append(AppendString(b, name), value...)
}

// ParseSend is the inverse of AppendSend. The value is a part of b.
func ParseSend(b []byte) (name string, value []byte, err error) {
	s, rest, ok := cut(b, MaxString)
	if !ok {
		return "", nil, ErrMalformed
	}
	return string(s), rest, nil
}

// AppendCancel appends the payload of KindCancel.
func AppendCancel(b []byte, id uint64) []byte { return binary.LittleEndian.AppendUint64(b, id) }

// ParseCancel is the inverse of AppendCancel.
func ParseCancel(b []byte) (id uint64, err error) {
	if len(b) != 8 {
		return 0, ErrMalformed
	}
	return binary.LittleEndian.Uint64(b), nil
}

// AppendReply appends a reply: 0 and a body, or the number of an error, as the
// package channel counts them, and its text.
func AppendReply(b []byte, code uint8, body []byte) []byte {
	return append(append(b, code), body...)
}

// ParseReply is the inverse of AppendReply. The body is a part of b.
func ParseReply(b []byte) (code uint8, body []byte, err error) {
	if len(b) == 0 {
		return 0, nil, ErrMalformed
	}
	return b[0], b[1:], nil
}

// cut takes a length and as many bytes off b.
func cut(b []byte, limit uint64) (s, rest []byte, ok bool) {
	size, rest, ok := cutUvarint(b)
	if !ok || size > limit || size > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:size], rest[size:], true
}

// cutUvarint takes a number off b, in its shortest form.
func cutUvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
