package sandbox

import (
	"bytes"
	"slices"
	"sync"
)

// A copied shadow is a copy, and what changed is found by comparing.
type copied struct {
	have uint64 // bytes

	mu    sync.Mutex // guards parts, not what is in them
	parts []*[copyPart]byte
}

// copyPart is how many bytes of a copy are allocated at a time.
const copyPart = 256 * SnapshotPage

// newCopied returns a shadow of a memory that begins with the image.
func newCopied() *copied { return &copied{} }

func (c *copied) taken() uint64 { return c.have }

func (c *copied) dirty() ([]uint32, error) {
	pages := make([]uint32, c.have/SnapshotPage)
	for n := range pages {
		pages[n] = uint32(n)
	}
	return pages, nil
}

func (c *copied) take(memory []byte, pages []uint32) (changed []uint32, err error) {
	for _, n := range pages {
		start := int(n) * SnapshotPage
		if now, was := memory[start:start+SnapshotPage], c.page(n); !bytes.Equal(now, was) {
			copy(was, now)
			changed = append(changed, n)
		}
	}
	return changed, nil
}

func (c *copied) extend(memory []byte, to uint64) (changed []uint32, err error) {
	for ; c.have < to; c.have += SnapshotPage {
		if c.have%copyPart == 0 {
			c.mu.Lock()
			c.parts = append(c.parts, new([copyPart]byte))
			c.mu.Unlock()
		}
		n := uint32(c.have / SnapshotPage)
		copy(c.page(n), memory[c.have:])
		changed = append(changed, n)
	}
	return changed, nil
}

func (c *copied) page(n uint32) []byte {
	c.mu.Lock()
	part := c.parts[n/(copyPart/SnapshotPage)]
	c.mu.Unlock()
	return part[n%(copyPart/SnapshotPage)*SnapshotPage:][:SnapshotPage]
}

func (c *copied) close() {}

// sorted returns pages in order, each once.
func sorted(pages []uint32) []uint32 {
	slices.Sort(pages)
	return slices.Compact(pages)
}
