package tasklet

// A tasklet of another peer that has ended here is kept until that peer has been
// told of it, with its last output. Of those that nobody asks for, the oldest are
// forgotten when they are too many, or have too much output.
const (
	maxEnded      = 4 << 10
	maxEndedBytes = 256 << 20
)

// retire notes that a tasklet has ended here, and forgets others if need be.
func (h *Host) retire(p *process) {
	if p.source == "" {
		return // its record tells of it
	}
	_, unread := p.out.Tail()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.processes[p.id] != p {
		return
	}
	h.ended.Remove(p.id)
	h.endedBytes += len(unread)
	h.ended.Add(p.id, len(unread))
	for h.endedBytes > maxEndedBytes {
		h.ended.RemoveOldest()
	}
}

// dropEnded is told that a tasklet which has ended is to be forgotten. The lock is
// held. Its entry on disk is removed at the next sweep.
func (h *Host) dropEnded(id ID, unread int) {
	h.endedBytes -= unread
	if p := h.processes[id]; p != nil && p.exitedBefore(0) {
		delete(h.processes, id)
		h.forgotten = append(h.forgotten, id)
	}
}
