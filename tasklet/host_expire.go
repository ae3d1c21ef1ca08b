package tasklet

import (
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// expire forgets what nobody will ask for any more.
func (h *Host) expire() {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	saved := h.uptime()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.expireNow()
		if h.older(saved, uptimeSaved) {
			h.saveUptime()
			saved = h.uptime()
		}
	}
}

// expireNow forgets what is out of date.
func (h *Host) expireNow() {
	var entries []func(tx *journal.Tx) error
	gone := func(table journal.Table, key string) {
		entries = append(entries, func(tx *journal.Tx) error { return tx.Delete(table, key) })
	}
	var partials []*process
	h.mu.Lock()
	for { // the oldest is the first
		id, d, ok := h.departed.GetOldest()
		if !ok || !h.older(d.at, forwardRetention) {
			break
		}
		h.departed.Remove(id)
	}
	for _, id := range h.evicted {
		if !h.departed.Contains(id) {
			gone(tableDeparted, string(id))
		}
	}
	h.evicted = nil
	for id, o := range h.moves {
		if o.state == committed && h.older(o.at, outcomeRetention) {
			delete(h.moves, id)
			gone(tableMoves, id.String())
		}
	}
	for id, p := range h.processes {
		if p.exitedBefore(forwardRetention) || p.displaced(forwardRetention) {
			delete(h.processes, id)
			h.ended.Remove(id)
			gone(tableHosted, string(id))
		}
	}
	for _, id := range h.forgotten {
		if h.processes[id] == nil && h.incoming[id] == nil && h.partials[id] == nil {
			gone(tableHosted, string(id))
		}
	}
	h.forgotten = nil
	for peer, a := range h.accounts {
		if a.tasklets.Load() == 0 && a.bytes.Load() == 0 && a.channels.Load() == 0 {
			delete(h.accounts, peer) // it is made anew, with the lock, when a tasklet comes
		}
	}
	for id, p := range h.partials {
		if h.older(p.saved.Uptime, partialRetention) {
			delete(h.partials, id)
			partials = append(partials, p)
			gone(tableHosted, string(id))
		}
	}
	for id, r := range h.started {
		if r.exitedBefore(keepTime) {
			delete(h.started, id)
			gone(tableStarted, string(id))
			if h.disk != nil {
				entries = append(entries, func(*journal.Tx) error { return h.disk.RemoveText(string(id)) })
			}
		}
	}
	h.mu.Unlock()
	h.updateAll(entries)
	for _, p := range partials { // which waits for engines, and removes files
		h.dropPartial(p)
	}
}

// updateAll makes several changes of the journal at once.
func (h *Host) updateAll(entries []func(tx *journal.Tx) error) {
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
		h.log.Error("old entries of the journal could not be removed", "error", err)
	}
}
