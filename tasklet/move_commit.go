package tasklet

import (
	"errors"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// undo makes the tasklet go on here.
func (m *outgoingMove) undo() error {
	if !m.paused {
		return nil
	}
	return m.process.engine.goOn()
}

// commit gives the tasklet up. If that could not be recorded, it is not given
// up, and the move is to be undone.
func (m *outgoingMove) commit() (given bool, err error) {
	h, p := m.host, m.process
	m.hop.Frozen, m.hop.Sent = time.Since(m.pausedAt), m.conn.sent
	if err := h.checkOutcomes(p, m.to); err != nil {
		return false, err
	}
	claim, err := h.extendClaim(p.id, &p.claim, m.to)
	if err != nil {
		return false, err
	}
	o := outcome{state: committed, id: p.id, to: m.to, hop: m.hop, claim: *claim, source: p.source, at: h.uptime(), clockReadAt: m.clockReadAt}
	d := departure{to: m.to, hop: m.hop, at: o.at}
	if err := h.saveCommit(m, o, d); err != nil {
		return false, err
	}
	h.setOutcome(m.id, o)
	if own := h.startedHere(p.id); own != nil {
		own.transferred(claim.seq())
	}
	h.testStep("commit")
	m.conn.within(stepTimeout)
	err = m.conn.send(tagCommit, &commit{m.hop, o.claim, since(m.clockReadAt), since(m.preparedAt)})
	if err == nil {
		_, err = m.conn.expect(tagRunning, 0)
	}
	m.hop.Frozen = time.Since(m.pausedAt)
	m.hop.Sent = m.conn.sent
	if err != nil {
		h.testStep("confirm")
		err = h.confirm(m)
	}
	d.hop = m.hop
	p.mu.Lock()
	p.left = &d
	p.mu.Unlock()
	h.mu.Lock()
	h.departed.Add(p.id, d)
	if h.processes[p.id] == p {
		delete(h.processes, p.id)
	}
	h.mu.Unlock()
	p.leave()
	p.engine.released()
	p.engine.unload()
	if err == nil {
		h.confirmed(m.id)
	}
	h.testStep("forward")
	h.log.Info("tasklet moved away", "tasklet", p.id, "peer", m.to, "bytes", m.hop.Bytes, "new", m.hop.New, "frozen", m.hop.Frozen)
	return true, err
}

// saveCommit notes on disk that the tasklet is given up. The disk may be full, and
// has the more room when the tasklet has left.
func (h *Host) saveCommit(m *outgoingMove, o outcome, d departure) error {
	if h.disk == nil {
		return nil
	}
	id := string(m.process.id)
	err := h.disk.UpdateFromReserve(func(tx *journal.Tx) error {
		return errors.Join(
			tx.Delete(tableHosted, id),
			h.saveOutcome(tx, m.id, o),
			put(tx, tableDeparted, id, &savedDeparture{d.to.String(), d.hop, d.at}),
		)
	})
	if err != nil {
		return err
	}
	if saved := m.process.saved; saved != nil && saved.Pages != "" {
		if err := h.disk.Remove(saved.Pages); err != nil {
			h.log.Warn("log of a tasklet that left could not be removed", "error", err)
		}
	}
	if err := h.disk.Reserve(); err != nil {
		h.log.Warn("no room is reserved on the disk for the records of tasklets that leave", "error", err)
	}
	return nil
}
