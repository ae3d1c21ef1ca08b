package journal

// Waiting returns how many updates wait for their turn.
func (j *Journal) Waiting() int {
	j.updates.mu.Lock()
	defer j.updates.mu.Unlock()
	return len(j.updates.waiting)
}

// ID names what is brought to the disk at once.
func (t *Tx) ID() int { return t.tx.ID() }
