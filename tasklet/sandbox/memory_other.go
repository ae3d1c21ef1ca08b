//go:build !linux && !darwin

package sandbox

// newMemory returns a memory that is allocated, and moves, as it grows.
func newMemory(limit uint64) (*memory, error) { return &memory{limit: limit}, nil }

// extend makes m.size bytes usable.
func (m *memory) extend() {
	if uint64(len(m.space)) >= m.size {
		return
	}
	space := make([]byte, min(m.limit, max(m.size, uint64(len(m.space))*3/2)))
	copy(space, m.space)
	m.space = space
}

// free gives the memory back.
func (m *memory) free() { m.space, m.size = nil, 0 }
