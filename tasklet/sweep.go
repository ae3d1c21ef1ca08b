package tasklet

import (
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// forwardTime is how long a host tells where a tasklet went, and keeps the
// outcome of a move or a run for those who have not asked yet.
const forwardTime = time.Hour

// wordTime is how long the outcome of a move is kept whose destination does not
// answer any more.
const wordTime = 30 * 24 * time.Hour

// partialTime is how long a peer keeps what it got of a tasklet before the
// transfer broke off.
const partialTime = 10 * time.Minute

// sweep forgets what nobody will ask for any more.
func (h *Host) sweep() {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.confirmAll()
		h.forgetOld(time.Now())
	}
}

// forgetOld forgets what is out of date.
func (h *Host) forgetOld(now time.Time) {
	old := now.Add(-forwardTime)
	var entries []func(tx *journal.Tx) error
	gone := func(table journal.Table, key string) {
		entries = append(entries, func(tx *journal.Tx) error { return tx.Delete(table, key) })
	}
	h.mu.Lock()
	for id, d := range h.departed {
		if d.at.Before(old) {
			delete(h.departed, id)
			gone(tableDeparted, string(id))
		}
	}
	for id, o := range h.moves {
		// A destination that may still wait for the word gets it.
		if (o.state == aborted || o.confirmed) && o.at.Before(old) || o.state == committed && o.at.Before(now.Add(-wordTime)) {
			delete(h.moves, id)
			gone(tableMoves, id.String())
		}
	}
	for id, p := range h.processes {
		if at := p.ended(); !at.IsZero() && at.Before(old) {
			delete(h.processes, id)
			gone(tableHosted, string(id))
		}
	}
	for id, p := range h.partials {
		if p.saved.At.Before(now.Add(-partialTime)) {
			delete(h.partials, id)
			h.dropPartial(p)
			gone(tableHosted, string(id))
		}
	}
	for id, r := range h.started {
		if at := r.ended(); !at.IsZero() && at.Before(now.Add(-keepTime)) {
			delete(h.started, id)
			gone(tableStarted, string(id))
			if h.disk != nil {
				entries = append(entries, func(*journal.Tx) error { return h.disk.RemoveText(string(id)) })
			}
		}
	}
	h.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	err := h.update(func(tx *journal.Tx) error {
		for _, f := range entries {
			if err := f(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.log.Error("old records could not be removed", "error", err)
	}
}
