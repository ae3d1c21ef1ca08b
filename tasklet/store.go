package tasklet

import (
	"encoding/hex"
	"time"

	"github.com/dstackless/dstackless/tasklet/journal"
)

// The tables of the journal, by what their keys are.
const (
	tableHosted   journal.Table = "hosted"   // tasklet: checkpointEntry
	tableMoves    journal.Table = "moves"    // move: savedOutcome
	tableDeparted journal.Table = "departed" // tasklet: savedDeparture
	tableStarted  journal.Table = "started"  // tasklet: savedOrigin
	tableHost     journal.Table = "host"     // savedUptime
)

// A phase says what a host has to do with a tasklet.
type phase uint8

const (
	running   phase = iota + 1 // it runs here; after a crash it goes on from this record
	suspended                  // it is here and does not run
	prepared                   // it has come from another peer, which may still keep it
	partial                    // a part of its memory has come from another peer
	ended                      // it exited here
)

// A checkpointEntry is what a host keeps on disk of a tasklet that is here.
type checkpointEntry struct {
	Standing phase
	// Cont is the tasklet as of this record. Its pages are in a log; without
	// one the program has not started yet.
	Cont   Continuation
	Pages  string // name of the log
	Length int64  // of the log, at this record
	// Parked says of a suspended tasklet that it waits for being resumed, and
	// does not go on when the host starts.
	Parked bool
	// NotSaved is why the tasklet could not be recorded again when its host was
	// closed.
	NotSaved string
	Move     moveID // that brought it, or brings it
	Source   string // peer that brought it, or brings it
	Exit     *exit  // of one that ended
	At       time.Time
	Uptime   time.Duration // at At
}

// A savedOutcome is an outcome.
type savedOutcome struct {
	State  moveDecision
	ID     ID
	To     string
	Hop    Hop
	Claim  Claim
	Source string
	At     time.Duration
	Taken  time.Time
}

// A savedDeparture is a departure.
type savedDeparture struct {
	To  string
	Hop Hop
	At  time.Duration
}

// A savedOrigin is what the peer that started a tasklet keeps of it.
type savedOrigin struct {
	Program  string
	Args     []string
	Function string // in place of a program
	Key      Key    // none if an older version made the record
	Started  time.Time
	Where    string
	Seq      uint64
	Moves    []Hop
	Exit     *exit
	At       time.Duration
}

func (id moveID) String() string { return hex.EncodeToString(id[:]) }

// update changes what is on disk, if there is a disk.
func (h *Host) update(f func(tx *journal.Tx) error) error {
	if h.disk == nil {
		return nil
	}
	return h.disk.Update(f)
}

// saveOutcome notes on disk what became of a move from here.
func (h *Host) saveOutcome(tx *journal.Tx, id moveID, o outcome) error {
	return put(tx, tableMoves, id.String(), &savedOutcome{o.state, o.id, o.to.String(), o.hop, o.claim, o.source, o.at, o.clockReadAt})
}

// saveHosted notes on disk how a tasklet stands here. The caller holds opLock.
func (p *process) saveHosted(s *checkpointEntry, more ...func(tx *journal.Tx) error) error {
	if p.host.disk == nil {
		return nil
	}
	s.At, s.Uptime, s.Source = time.Now(), p.host.uptime(), p.source
	err := p.host.update(func(tx *journal.Tx) error {
		if err := put(tx, tableHosted, string(p.id), s); err != nil {
			return err
		}
		for _, f := range more {
			if err := f(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.saved = s.head()
	}
	return err
}

// head returns what is kept in memory of a record that is on disk: nothing of what
// the tasklet was in the middle of. A prepared one is kept whole, for soon it runs.
func (s *checkpointEntry) head() *checkpointEntry {
	if s.Standing == prepared {
		return s
	}
	h := *s
	h.Cont.State.Calls, h.Cont.State.Inbox, h.Cont.Unread = nil, nil, nil
	if f := h.Cont.Function; f != nil {
		h.Cont.Function = &FunctionState{Name: f.Name, Shape: f.Shape}
	}
	return &h
}

// record reads what the disk has of a tasklet. The caller holds opLock.
func (p *process) record() (*checkpointEntry, error) {
	s := new(checkpointEntry)
	err := p.host.disk.Get(tableHosted, string(p.id), func(data []byte) error { return decodeEntry(string(p.id), data, s) })
	return s, err
}

// saveExit notes on disk how a tasklet came to its end here.
func (h *Host) saveExit(p *process, e *exit) {
	if h.disk == nil {
		return
	}
	c := p.outline()
	err := h.update(func(tx *journal.Tx) error {
		return put(tx, tableHosted, string(p.id), &checkpointEntry{Standing: ended, Cont: *c, Exit: e, At: time.Now(), Uptime: h.uptime()})
	})
	if err != nil {
		h.log.Error("end of a tasklet could not be recorded", "tasklet", p.id, "error", err)
	}
}

// forget removes what the disk has of a tasklet that ended, because all has been
// told.
func (h *Host) forget(id ID) {
	err := h.update(func(tx *journal.Tx) error { return tx.Delete(tableHosted, string(id)) })
	if err != nil {
		h.log.Error("tasklet could not be removed from the journal", "tasklet", id, "error", err)
	}
}
