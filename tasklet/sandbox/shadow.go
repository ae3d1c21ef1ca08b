package sandbox

import (
	"bytes"
	"slices"
)

// A copied shadow is a copy, and what changed is found by comparing.
type copied struct{ data []byte }

// newCopied returns a shadow of a memory that begins with the image.
func newCopied() *copied { return &copied{} }

func (c *copied) taken() uint64 { return uint64(len(c.data)) }

func (c *copied) dirty() ([]uint32, error) {
	pages := make([]uint32, len(c.data)/SnapshotPage)
	for n := range pages {
		pages[n] = uint32(n)
	}
	return pages, nil
}

func (c *copied) take(memory []byte, pages []uint32) (changed []uint32, err error) {
	for _, n := range pages {
		start := int(n) * SnapshotPage
		if now := memory[start : start+SnapshotPage]; !bytes.Equal(now, c.page(n)) {
			copy(c.page(n), now)
			changed = append(changed, n)
		}
	}
	return changed, nil
}

func (c *copied) extend(memory []byte, to uint64) (changed []uint32, err error) {
	for at := c.taken(); at < to; at += SnapshotPage {
		changed = append(changed, uint32(at/SnapshotPage))
	}
	c.data = append(c.data, memory[len(c.data):to]...)
	return changed, nil
}

func (c *copied) page(n uint32) []byte {
	return c.data[int(n)*SnapshotPage:][:SnapshotPage]
}

func (c *copied) close() {}

// sorted returns pages in order, each once.
func sorted(pages []uint32) []uint32 {
	slices.Sort(pages)
	return slices.Compact(pages)
}
