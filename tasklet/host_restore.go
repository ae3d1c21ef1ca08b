package tasklet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/internal/output"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// keepTime is how long the peer that started a tasklet remembers it, and its
// output, after it exited, while the peer runs.
const keepTime = 24 * time.Hour

// restore reads the journal before the host serves anybody. It
// returns what is to be done then. An entry that cannot be used is set aside:
// nothing keeps the others from going on.
func (h *Host) restore() (todo []func(), err error) {
	if h.disk == nil {
		return nil, nil
	}
	slots := make(chan struct{}, atOnce)
	used := map[string]bool{}
	err = errors.Join(
		h.each(tableHost, h.restoreUptime),
		h.each(tableMoves, h.restoreMove),
		h.each(tableDeparted, h.restoreDeparture),
		h.each(tableStarted, func(key string, data []byte) error {
			r, err := h.restoreRecord(key, data)
			if err == nil && r.exited() == nil {
				todo = append(todo, r.startWatching)
			}
			return err
		}),
		h.each(tableHosted, func(key string, data []byte) error {
			var s checkpointEntry
			if err := decodeEntry(key, data, &s); err != nil {
				return err
			}
			used[s.Pages] = true
			if f := h.restoreHosted(&s, slots); f != nil {
				todo = append(todo, f)
			}
			return nil
		}),
	)
	if err != nil {
		return nil, err
	}
	h.tidy(used)
	var here []ID
	for id, p := range h.processes {
		if p.gone() == nil {
			here = append(here, id)
		}
	}
	if len(here) > 0 {
		todo = append(todo, func() { h.lookForNewer(here) })
	}
	return todo, nil
}

// An unusable is an entry of the journal that cannot be used.
type unusable struct {
	table journal.Table
	key   string
	value []byte
	why   error
}

// each calls f for the entries of a table, and sets aside those for which it
// returns an error.
func (h *Host) each(table journal.Table, f func(key string, data []byte) error) error {
	var bad []unusable
	err := h.disk.Each(table, func(key string, data []byte) error {
		if why := f(key, data); why != nil {
			bad = append(bad, unusable{table, key, slices.Clone(data), why})
		}
		return nil
	})
	for _, u := range bad {
		err = errors.Join(err, h.setAside(u))
	}
	return err
}

// setAside keeps an entry, and the files that belong to it, where nothing looks
// for them.
func (h *Host) setAside(u unusable) error {
	file, err := h.disk.SetAsideEntry(u.table, u.key, u.value)
	if err != nil {
		return err
	}
	switch u.table {
	case tableHosted:
		logs, e := h.disk.Logs()
		err = e
		for _, name := range logs {
			if strings.HasPrefix(name, u.key+"-") {
				err = errors.Join(err, h.disk.SetAsideLog(name))
			}
		}
	case tableStarted:
		err = h.disk.SetAsideText(u.key)
	}
	h.log.Error("entry of the journal cannot be used and was set aside; the peer goes on without it",
		"table", u.table, "entry", u.key, "file", file, "error", u.why)
	return err
}

// tidy removes files that no entry speaks of.
func (h *Host) tidy(used map[string]bool) {
	logs, err := h.disk.Logs()
	for _, name := range logs {
		if !used[name] {
			err = errors.Join(err, h.disk.Remove(name))
		}
	}
	texts, e := h.disk.Texts()
	for _, name := range texts {
		if h.started[ID(name)] == nil {
			e = errors.Join(e, h.disk.RemoveText(name))
		}
	}
	if err := errors.Join(err, e); err != nil {
		h.log.Warn("files that belong to no tasklet could not be removed", "error", err)
	}
}

func (h *Host) restoreMove(key string, data []byte) error {
	var s savedOutcome
	if err := decodeEntry(key, data, &s); err != nil {
		return err
	}
	b, err := hex.DecodeString(key)
	to, e := p2p.ParseID(s.To)
	if err := errors.Join(err, e); err != nil {
		return err
	}
	if holder, _, err := s.Claim.holder(s.ID); err != nil || holder != to {
		return fmt.Errorf("%w: the claim of a move: %w", journal.ErrDamaged, err)
	}
	if s.State == committed { // the others were not committed, and never will be
		h.moves[moveID(b)] = outcome{state: committed, id: s.ID, to: to, hop: s.Hop, claim: s.Claim, source: s.Source, at: s.At, clockReadAt: s.Taken}
	}
	return nil
}

func (h *Host) restoreDeparture(key string, data []byte) error {
	var s savedDeparture
	if err := decodeEntry(key, data, &s); err != nil {
		return err
	}
	to, err := p2p.ParseID(s.To)
	if err != nil {
		return err
	}
	h.departed.Add(ID(key), departure{to: to, hop: s.Hop, at: s.At})
	return nil
}

func (h *Host) restoreRecord(key string, data []byte) (*originEntry, error) {
	var s savedOrigin
	if err := decodeEntry(key, data, &s); err != nil {
		return nil, err
	}
	where, err := p2p.ParseID(s.Where)
	if err != nil {
		return nil, err
	}
	r := &originEntry{
		host: h, id: ID(key), spec: &spec{program: s.Program, args: s.Args, function: s.Function}, key: s.Key, started: s.Started,
		out: output.New(MaxOutput), where: where, seq: s.Seq, moves: s.Moves, exit: s.Exit, exitedAt: s.At,
	}
	r.restoreOutput()
	r.position = r.out.End()
	if r.exit != nil {
		r.out.Close()
		r.out.CloseFile()
		r.done.close()
	}
	h.started[r.id] = r
	return r, nil
}

// restoreHosted takes a tasklet over that was here, and returns what is to be
// done about it, if anything.
func (h *Host) restoreHosted(s *checkpointEntry, slots chan struct{}) func() {
	c := &s.Cont
	p := h.newProcess(c.ID, c.spec(), c.Origin, c.Started)
	p.saved, p.source, p.moveID, p.moves, p.claim, p.key = s.head(), s.Source, s.Move, c.Moves, c.Claim, c.Key
	p.notSaved = s.NotSaved
	p.out.Restore(c.UnreadAt, slices.Clone(c.Unread))
	if s.Standing != ended {
		p.charge()
		p.restoreBill([holdings]int64{
			heldMemory: int64(c.size()), heldRequests: int64(c.State.Held()), heldOutput: int64(max(len(c.Unread), freeOutput) - freeOutput), heldLog: s.Length,
		})
	}
	switch s.Standing {
	case partial:
		h.partials[c.ID] = p
		return nil
	case prepared:
		return h.restorePrepared(p)
	case ended:
		p.exit, p.exitedAt = s.Exit, s.Uptime
		p.bill.settled = true
		p.out.Close()
		p.over.close()
		h.processes[c.ID] = p
		h.retire(p)
		return nil
	}
	h.processes[c.ID] = p
	if s.Parked {
		return p.announce
	}
	p.opLock <- struct{}{}
	return func() {
		defer func() { <-p.opLock }()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-h.ctx.Done():
			return
		}
		if err := p.wake(h.ctx); err != nil && h.ctx.Err() == nil {
			h.log.Error("tasklet could not be resumed", "tasklet", p.id, "error", err)
		}
	}
}
