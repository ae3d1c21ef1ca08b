package channel

import "fmt"

// MaxName is the length of the longest channel name, in bytes.
const MaxName = 255

// A Name names a channel within a space: 1 to [MaxName] bytes of any kind.
//
// A name is a capability. Peers that know it may send and receive; nothing
// tells a name to those who do not.
type Name string

// Validate returns an error that wraps [ErrName] unless n can name a channel.
func (n Name) Validate() error {
	switch {
	case n == "":
		return fmt.Errorf("%w: it is empty; give the channel a name of 1 to %d bytes", ErrName, MaxName)
	case len(n) > MaxName:
		return fmt.Errorf("%w: it has %d bytes; the limit is %d", ErrName, len(n), MaxName)
	}
	return nil
}
