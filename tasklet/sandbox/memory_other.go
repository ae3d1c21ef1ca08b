//go:build !linux && !darwin

package sandbox

func newMemory(limit uint64) (*memory, error) { return newPlain(limit) }

func unmap([]byte) {}
