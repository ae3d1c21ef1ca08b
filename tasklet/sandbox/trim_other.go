//go:build !linux

package sandbox

// trim does nothing: not all systems promise that the pages stay zero.
func (i *Instance) trim() {}
