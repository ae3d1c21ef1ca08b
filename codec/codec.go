// Package codec turns values into bytes and streams into frames.
//
// Values travel as gob. Everything that this package decodes may come from a
// stranger, so each decoder takes a limit, compares lengths with what is there
// before it allocates, and rejects what is left over.
package codec

import (
	"errors"
	"fmt"
)

// ErrTooLarge is wrapped by the error of an encoder or a decoder whose input
// is over its limit.
var ErrTooLarge = errors.New("too large")

// ErrMalformed is wrapped by the error of a decoder whose input is not what
// its encoder writes: cut short, forged or followed by more bytes.
var ErrMalformed = errors.New("malformed")

// tooDeep is the error of a value that is nested more than MaxDepth deep.
func tooDeep() error {
	return fmt.Errorf("value is %w: it is nested more than %d deep, or contains itself; send a long list as a slice", ErrTooLarge, MaxDepth)
}

func tooLarge(what string, size, limit int) error {
	return fmt.Errorf("codec: %s of %d bytes is %w: the limit is %d bytes", what, size, ErrTooLarge, limit)
}
