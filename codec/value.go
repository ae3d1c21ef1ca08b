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
// must be registered with [gob.Register] on both sides.
//
// What Marshal returns passes the checks of [Unmarshal], for a target of the
// type of v. The error of a value that is over the limit, nested more than
// [MaxDepth] deep, or takes more than [MaxMemory] wraps [ErrTooLarge]. A value
// that contains itself is nested without end. A type that encodes itself must
// decode itself.
func Marshal(v any, limit int) ([]byte, error) {
	r := reflect.ValueOf(v)
	if !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
		return nil, fmt.Errorf("codec: encode %T: it is nil, and gob has no nil pointers", v)
	}
	data, err := encode(r, limit)
	if err != nil {
		return nil, fmt.Errorf("codec: encode %T: %w", v, err)
	}
	return data, nil
}

func encode(v reflect.Value, limit int) ([]byte, error) {
	f := learn(v.Type())
	if f.err != nil {
		return nil, f.err
	}
	if !f.bounded {
		if err := walk(v, limit); err != nil {
			return nil, err
		}
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).EncodeValue(v); err != nil {
		return nil, err
	}
	if buf.Len() > limit {
		return nil, fmt.Errorf("%d bytes are %w: the limit is %d bytes", buf.Len(), ErrTooLarge, limit)
	}
	if f.bounded && f.growth*buf.Len() <= MaxMemory && f.verified.Load() {
		return buf.Bytes(), nil
	}
	if err := verify(buf.Bytes(), v.Type()); err != nil {
		return nil, err
	}
	f.verified.Store(true)
	return buf.Bytes(), nil
}

// Unmarshal decodes one value, written by [Marshal], into the pointer v.
//
// Data must hold that value and nothing else. Every length inside it is
// checked against the bytes that are there before anything is allocated for
// it. After an error *v may hold a part of the value.
//
// The value may take [MaxMemory] and be nested [MaxDepth] deep. Types with a
// GobDecode or an UnmarshalBinary method bound their own memory.
//
// # Errors
//
//   - One that wraps [ErrMalformed]: data is cut short, forged, or followed by
//     more bytes.
//   - One that wraps [ErrTooLarge]: the value takes too much memory, or is
//     nested too deep.
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
