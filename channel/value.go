package channel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"

	"github.com/dstackless/dstackless/codec"
)

// MaxValue is the size of the largest value that can be sent to another peer, in
// encoded bytes, the name of its type included: 16 MiB and 1 KiB, so that a text or
// a []byte of 16 MiB fits. A larger value's Send returns [ErrTooLarge], as does
// that of a value nested more than [codec.MaxDepth] deep, 10,000, and of one that
// the receiver needs more than [codec.MaxMemory] for, 256 MiB.
const MaxValue = 16<<20 + 1<<10

const (
	// maxType bounds a type's name inside an encoded value.
	maxType = 255
	// maxText bounds the text of an error that is sent.
	maxText = 64 << 10
)

// sentError stands in place of a type's name, before the number and the text of
// an error. No type has such a name.
const sentError = "!error"

// MaxReused is the size up to which the buffers of encoded values are used
// again, in bytes: 128 KiB. See [Payload].
const MaxReused = 128 << 10

// outgoing is a payload that knows its Go value, or the error sent in its place.
type outgoing[T any] struct {
	value  T
	err    error
	spare  *spare[[]byte]
	buffer *[]byte // what the value was encoded into
}

// forget drops the value, which nobody needs any more.
func (o *outgoing[T]) forget() {
	if o.buffer != nil && cap(*o.buffer) <= MaxReused {
		o.spare.put(o.buffer)
	}
	*o = outgoing[T]{}
}

// room returns an empty buffer for n bytes.
func (o *outgoing[T]) room(n int) []byte {
	if o.spare == nil || n > MaxReused {
		return make([]byte, 0, n)
	}
	if o.buffer == nil {
		o.buffer = o.spare.get()
	}
	if o.buffer == nil {
		o.buffer = new([]byte)
	}
	if cap(*o.buffer) < n {
		*o.buffer = make([]byte, 0, n)
	}
	return (*o.buffer)[:0]
}

// Encode writes the name of the type, for the receiver's error message, and
// the value: raw for []byte, gob for all else.
func (o *outgoing[T]) Encode() ([]byte, error) {
	if o.err != nil {
		code, text := Encode(o.err)
		text = text[:min(len(text), maxText)]
		b := append(binary.AppendUvarint(nil, uint64(len(sentError))), sentError...)
		return append(append(b, byte(code)), text...), nil
	}
	name := typeName[T]()
	raw, isRaw := any(o.value).([]byte)
	if !isRaw {
		var err error
		if raw, err = codec.Marshal(&o.value, MaxValue-headOf(name)); err != nil {
			if errors.Is(err, codec.ErrTooLarge) {
				err = fmt.Errorf("%w: %w", ErrTooLarge, err)
			}
			return nil, err
		}
		// Gob has written nothing for a nil pointer, or the zero of what it points to.
		for v := reflect.ValueOf(&o.value).Elem(); v.Kind() == reflect.Pointer; v = v.Elem() {
			if v.IsNil() {
				return nil, fmt.Errorf("channel: encode %s: it is nil, and a nil pointer cannot travel", name)
			}
		}
	}
	if headOf(name)+len(raw) > MaxValue {
		return nil, fmt.Errorf("%w: %d bytes; the limit is %d", ErrTooLarge, len(raw), MaxValue-headOf(name))
	}
	b := binary.AppendUvarint(o.room(headOf(name)+len(raw)), uint64(len(name)))
	return append(append(b, name...), raw...), nil
}

// headOf returns the length of what comes before the data of a value of the
// named type.
func headOf(name string) int {
	if len(name) < 0x80 {
		return 1 + len(name)
	}
	return 2 + len(name)
}

// incoming is a sink that wants a T.
type incoming[T any] struct {
	value   T
	sent    error // in place of a value
	encoded []byte
	err     error
}

// Takes reports whether p has a Go value of the same type.
func (i *incoming[T]) Takes(p Payload) bool {
	_, ok := p.(*outgoing[T])
	return ok
}

// Accept copies a Go value of the same type as it is, and keeps the bytes of
// any other for the receiver to decode in its own time.
func (i *incoming[T]) Accept(p Payload) {
	if o, ok := p.(*outgoing[T]); ok {
		i.value, i.sent = o.value, o.err
		return
	}
	if i.encoded, i.err = Copy(p); i.encoded == nil {
		i.encoded = []byte{} // nil stands for a value that came unencoded
	}
}

// take returns what was accepted.
func (i *incoming[T]) take() (T, error) {
	switch {
	case i.sent != nil:
		return i.value, &SentError{Err: i.sent}
	case i.encoded == nil || i.err != nil:
		return i.value, i.err
	}
	got, data, err := split(i.encoded)
	if err != nil {
		return i.value, err
	}
	if got == sentError && len(data) > 0 {
		return i.value, &SentError{Err: Decode(Code(data[0]), string(data[1:]))}
	}
	want := typeName[T]()
	if raw, ok := any(&i.value).(*[]byte); ok && got == want {
		*raw = data
		return i.value, nil
	} else if ok || got == typeName[[]byte]() {
		return i.value, &TypeError{Want: want, Got: got}
	}
	var value T // a failed decode leaves nothing half written behind
	if err := codec.Unmarshal(data, &value); err != nil {
		return i.value, &TypeError{Want: want, Got: got, Err: err}
	}
	return value, nil
}

// split parts an encoded value into the name of its type and its data. The
// length of the name is taken in its shortest form only, the one Encode writes.
func split(encoded []byte) (string, []byte, error) {
	size, n := binary.Uvarint(encoded)
	if n <= 0 || n > 1 && encoded[n-1] == 0 || size > maxType || size > uint64(len(encoded)-n) {
		return "", nil, fmt.Errorf("channel: encoded value is %w", codec.ErrMalformed)
	}
	rest := encoded[n:]
	return string(rest[:size]), rest[size:], nil
}

func typeName[T any]() string {
	name := reflect.TypeFor[T]().String()
	return name[:min(len(name), maxType)]
}
