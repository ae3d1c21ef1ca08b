package abi

import "encoding/binary"

// MaxAlternatives is how many operations a select may choose from.
const MaxAlternatives = 1024

// An Alternative is an operation that a select may choose: a send of a value, or
// a receive.
type Alternative struct {
	Name  string
	Sends bool
	Value []byte // of a send
}

// AppendSelect appends the payload of KindSelect. A select that does not wait
// chooses nothing if nothing can be done at once.
func AppendSelect(b []byte, alternatives []Alternative, wait bool) []byte {
	b = appendBool(b, wait)
	b = binary.AppendUvarint(b, uint64(len(alternatives)))
	for _, a := range alternatives {
		b = AppendString(appendBool(b, a.Sends), a.Name)
		if a.Sends {
			b = binary.AppendUvarint(b, uint64(len(a.Value)))
			b = append(b, a.Value...)
		}
	}
	return b
}

// ParseSelect is the inverse of AppendSelect. The values are parts of b.
func ParseSelect(b []byte) (alternatives []Alternative, wait bool, err error) {
	wait, b, ok := cutBool(b)
	if !ok {
		return nil, false, ErrMalformed
	}
	count, b, ok := cutUvarint(b)
	if !ok || count > MaxAlternatives {
		return nil, false, ErrMalformed
	}
	for range count {
		var a Alternative
		var name []byte
		if a.Sends, b, ok = cutBool(b); !ok {
			return nil, false, ErrMalformed
		}
		if name, b, ok = cut(b, MaxString); !ok {
			return nil, false, ErrMalformed
		}
		a.Name = string(name)
		if a.Sends {
			if a.Value, b, ok = cut(b, 1<<32); !ok {
				return nil, false, ErrMalformed
			}
		}
		alternatives = append(alternatives, a)
	}
	if len(b) > 0 {
		return nil, false, ErrMalformed
	}
	return alternatives, wait, nil
}

// AppendChosen appends the reply to KindSelect: which alternative was chosen, or
// -1 for none, and its outcome as AppendReply takes it.
func AppendChosen(b []byte, chosen int, code uint8, body []byte) []byte {
	return AppendReply(binary.AppendUvarint(b, uint64(chosen+1)), code, body)
}

// ParseChosen is the inverse of AppendChosen. The body is a part of b.
func ParseChosen(b []byte) (chosen int, code uint8, body []byte, err error) {
	n, rest, ok := cutUvarint(b)
	if !ok || n > MaxAlternatives || len(rest) == 0 {
		return 0, 0, nil, ErrMalformed
	}
	return int(n) - 1, rest[0], rest[1:], nil
}

// AppendBalance appends the reply to KindBalance.
func AppendBalance(b []byte, balance int) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(int64(balance)))
}

// ParseBalance is the inverse of AppendBalance.
func ParseBalance(b []byte) (int, error) {
	if len(b) != 8 {
		return 0, ErrMalformed
	}
	return int(int64(binary.LittleEndian.Uint64(b))), nil
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func cutBool(b []byte) (v bool, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > 1 {
		return false, nil, false
	}
	return b[0] == 1, b[1:], true
}
