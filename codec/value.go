package codec

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
)

// Marshal encodes v as one self-contained gob value of at most limit bytes.
//
// Values of interface type travel with the name of their concrete type, which
// must be registered with [gob.Register] on both sides. The error of a value
// over the limit wraps [ErrTooLarge].
func Marshal(v any, limit int) ([]byte, error) {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
		return nil, fmt.Errorf("codec: encode %T: it is nil, and gob has no nil pointers", v)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(v); err != nil {
		return nil, fmt.Errorf("codec: encode %T: %w", v, err)
	}
	if buf.Len() > limit {
		return nil, tooLarge(fmt.Sprintf("%T", v), buf.Len(), limit)
	}
	return buf.Bytes(), nil
}

// Unmarshal decodes one value, written by [Marshal], into the pointer v.
//
// Data must hold that value and nothing else. Every length inside it is
// checked against the bytes that are there before anything is allocated for
// it. After an error *v may hold a part of the value.
//
// The value may take 64 bytes of memory for each byte of data, and 1 MiB. That
// leaves out only large structs, in great number, of which almost all fields
// are zero. It may be nested 1,000 deep, which a linked list reaches soon.
// Types with a GobDecode or an UnmarshalBinary method bound their own memory.
//
// # Errors
//
//   - One that wraps [ErrMalformed]: data is cut short, forged, nested too
//     deep or followed by more bytes.
//   - One that wraps [ErrTooLarge]: the value takes too much memory.
//   - Others: the value does not fit *v, it has a type that is not registered,
//     or two of its struct types would become one.
func Unmarshal(data []byte, v any) (err error) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return errors.New("codec: decode: the target must be a pointer that is not nil")
	}
	if err := verify(data, p.Type().Elem()); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	// A type's own GobDecode method may panic on hostile bytes.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("codec: decode %T: %w: %v", v, ErrMalformed, p)
		}
	}()
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(v); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	return nil
}
