package sandbox

import "fmt"

// A memory is the linear memory of one instance, with a limit of its own.
type memory struct {
	space   []byte
	mapped  bool // space has all of limit, and not just what was asked for
	size    uint64
	limit   uint64
	reserve func(size uint64) error // see Config
	refused error                   // why it could not grow
}

// newPlain returns a memory that is allocated, and moves, as it grows: what there
// is on every system.
func newPlain(limit uint64) (*memory, error) { return &memory{limit: limit}, nil }

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

// extend makes m.size bytes usable.
func (m *memory) extend() {
	if m.mapped || uint64(len(m.space)) >= m.size {
		return
	}
	space := make([]byte, min(m.limit, max(m.size, uint64(len(m.space))*3/2)))
	copy(space, m.space)
	m.space = space
}

// free gives the memory back.
func (m *memory) free() {
	if m.mapped {
		unmap(m.space)
	}
	m.space, m.size = nil, 0
}

// bytes returns the memory's contents.
func (m *memory) bytes() []byte { return m.space[:m.size:m.size] }
