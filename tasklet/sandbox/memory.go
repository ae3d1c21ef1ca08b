package sandbox

import "fmt"

// A memory is the linear memory of one instance, with a limit of its own.
type memory struct {
	space   []byte // see newMemory
	size    uint64
	limit   uint64
	reserve func(size uint64) error // see Config
	refused error                   // why it could not grow
}

// grow makes the memory size bytes large. If it may not be, grow reports false,
// and refused says why.
func (m *memory) grow(size uint64) bool {
	if size > m.limit {
		m.refused = fmt.Errorf("%w: the limit is %d bytes", ErrMemory, m.limit)
		return false
	}
	if m.reserve != nil {
		if err := m.reserve(size); err != nil {
			m.refused = err
			return false
		}
	}
	m.size = size
	m.extend()
	return true
}

// bytes returns the memory's contents.
func (m *memory) bytes() []byte { return m.space[:m.size:m.size] }
