package tasklet

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// An ID names a tasklet for all its life, wherever it runs: 32 hexadecimal
// digits.
type ID string

// newID returns an ID that no other tasklet has.
func newID() ID {
	var b [16]byte
	rand.Read(b[:])
	return ID(hex.EncodeToString(b[:]))
}

// validate reports what is wrong with an ID that came from elsewhere.
func (id ID) validate() error {
	if b, err := hex.DecodeString(string(id)); err != nil || len(b) != 16 || hex.EncodeToString(b) != string(id) {
		return fmt.Errorf("tasklet ID %.40q is not 32 hexadecimal digits", string(id))
	}
	return nil
}
