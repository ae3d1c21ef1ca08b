package sandbox

import (
	"os"
	"unsafe"
)

// newShadow returns a shadow of a new memory: the first of a tracked, a mapped
// and a copied one that the kernel has a hand in.
func newShadow(m *memory, img *image) shadow {
	if os.Getpagesize() != SnapshotPage || !m.mapped {
		return newCopied()
	}
	if s, err := newTracked(m); err == nil {
		return s
	}
	if s, err := newMapped(m, img); err == nil {
		return s
	}
	return newCopied()
}

// base is the address of the memory.
func (m *memory) base() uint64 { return uint64(uintptr(unsafe.Pointer(&m.space[0]))) }
