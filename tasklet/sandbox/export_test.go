package sandbox

// Waited reports whether the guest has waited for something.
func (i *Instance) Waited() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.idled
}
