package content

import (
	"errors"

	blocks "github.com/ipfs/go-block-format"
)

// Decode decodes a block and checks what every caller relies on.
func Decode(b blocks.Block) error {
	n, err := decode(b)
	if err != nil {
		return err
	}
	sum := int64(len(n.data))
	for _, c := range n.children {
		if c.size <= 0 || checkCID(c.cid) != nil {
			return errors.New("a child that should have been refused")
		}
		sum += c.size
	}
	if sum != n.size {
		return errors.New("the size is not the sum of the parts")
	}
	return nil
}

// Bytes returns how many bytes the blocks in the store count.
func (s *Store) Bytes() int64 { return s.stock.bytes.Load() }

// For the fuzzing of the protocol through relays.
var (
	AppendWant = appendWant
	ReadWant   = readWant
	ReadBlock  = readBlock
)

// ServedLimits are those of the streams that are served at a time.
var ServedLimits = served

// Served returns how many streams are served now.
func (s *Store) Served() int {
	known, strangers := s.served.Used()
	return known + strangers
}
