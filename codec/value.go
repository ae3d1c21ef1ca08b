package codec

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// Marshal encodes v as one self-contained gob value of at most limit bytes.
//
// Values of interface type travel with the name of their concrete type, which
// must be registered with [gob.Register] on both sides.
func Marshal(v any, limit int) ([]byte, error) {
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
// Data must hold that value and nothing else. Lengths inside it are checked
// against the bytes that are there before anything is allocated for them, so
// the memory used is proportional to len(data).
func Unmarshal(data []byte, v any) (err error) {
	if err := verify(data); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	// A type's own GobDecode method may panic on hostile bytes.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("codec: decode %T: %w: %v", v, ErrMalformed, p)
		}
	}()
	r := bytes.NewReader(data)
	if err := gob.NewDecoder(r).Decode(v); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	if r.Len() != 0 {
		return fmt.Errorf("codec: decode %T: %w: %d bytes after the value", v, ErrMalformed, r.Len())
	}
	return nil
}
