package tasklet

// OnStep has f called at each step of the moves to and from h.
func (h *Host) OnStep(f func(step string)) { h.steps.Store(&f) }

// Here reports whether the tasklet runs at h.
func (h *Host) Here(id ID) bool {
	h.mu.Lock()
	p := h.processes[id]
	h.mu.Unlock()
	return p != nil && p.gone() == nil
}

// DecodeContinuation is decodeContinuation.
func DecodeContinuation(data []byte, limit uint64) (*Continuation, error) {
	return decodeContinuation(data, limit)
}

// Arriving returns the tasklets that are being moved to h.
func (h *Host) Arriving() (ids []ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.arriving {
		ids = append(ids, id)
	}
	return ids
}
