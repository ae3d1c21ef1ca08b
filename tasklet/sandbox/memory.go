package sandbox

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// A memory is the linear memory of one instance, with a limit of its own.
type memory struct {
	space   []byte // see newMemory
	size    uint64
	limit   uint64
	reserve func(size uint64) error // see Config
	refused error                   // why it could not grow
}

// Allocate returns the memory itself: it serves one instance.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate grows the memory, or returns nil if that is over its limit.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = fmt.Errorf("%w: the limit is %d bytes", ErrMemory, m.limit)
		return nil
	}
	if m.reserve != nil {
		if err := m.reserve(size); err != nil {
			m.refused = err
			return nil
		}
	}
	m.size = size
	m.extend()
	return m.bytes()
}

// Free does nothing: free does, when nobody looks at the memory any more.
func (m *memory) Free() {}

// bytes returns the memory's contents.
func (m *memory) bytes() []byte { return m.space[:m.size:m.size] }
