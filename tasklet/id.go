package tasklet

import (
	"encoding/hex"
	"fmt"
)

// An ID names a tasklet for all its life, wherever it runs: 32 hexadecimal
// digits, a hash of the key of the peer that
// started it.
type ID string

// validate reports what is wrong with an ID that came from elsewhere.
func (id ID) validate() error {
	if b, err := hex.DecodeString(string(id)); err != nil || len(b) != 16 || hex.EncodeToString(b) != string(id) {
		return fmt.Errorf("tasklet ID %.40q is not 32 hexadecimal digits", string(id))
	}
	return nil
}
