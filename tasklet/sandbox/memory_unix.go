//go:build linux || darwin

package sandbox

import "golang.org/x/sys/unix"

// newMemory reserves address space for the limit. Memory is used as it is
// touched, and never moves.
func newMemory(limit uint64) (*memory, error) {
	space, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return &memory{space: space, limit: limit, mapped: true}, nil
}

// unmap gives address space back.
func unmap(space []byte) { unix.Munmap(space) }
