package tasklet

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/internal/output"
	"github.com/dstackless/dstackless/tasklet/journal"
)

// A originEntry is what this peer keeps of a tasklet that it started, wherever the
// tasklet is.
type originEntry struct {
	host *Host
	id   ID
	*spec
	key     Key
	started time.Time
	out     *output.Buffer

	done onceSignal // closed when it has exited

	mu        sync.Mutex
	where     p2p.ID
	reachable bool
	moves     []Hop
	exit      *exit
	exitedAt  time.Duration // uptime
	suspended bool
	seq       uint64 // how many transfers of the tasklet this peer has signed, or was shown
	position  int64  // in the tasklet's output
	awake     bool   // it is being followed
	again     bool   // something has happened since
}

// startedHere returns the record of a tasklet that this peer started, or nil.
func (h *Host) startedHere(id ID) *originEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started[id]
}

// keepOutput makes the output be kept on disk, and takes over what is there.
func (r *originEntry) keepOutput() error {
	disk, base, data, err := r.host.disk.Text(string(r.id), MaxOutput)
	if err != nil {
		return err
	}
	r.out.Restore(base, data)
	r.out.Persist(disk, func(err error) {
		r.host.log.Error("output of a tasklet is no longer kept on disk", "tasklet", r.id, "error", err)
	})
	return nil
}

// restoreOutput is keepOutput after a restart. Output that is damaged is set
// aside; the tasklet matters more.
func (r *originEntry) restoreOutput() {
	err := r.keepOutput()
	if errors.Is(err, journal.ErrDamaged) {
		err = errors.Join(err, r.host.disk.SetAsideText(string(r.id)))
		r.host.log.Error("output of a tasklet is damaged and was set aside", "tasklet", r.id, "error", err)
		err = r.keepOutput()
	}
	if err != nil {
		r.host.log.Error("output of a tasklet cannot be read, and is not kept on disk", "tasklet", r.id, "error", err)
	}
}

// save notes on disk what this peer knows of the tasklet.
func (r *originEntry) save(tx *journal.Tx) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return put(tx, tableStarted, string(r.id), &savedOrigin{
		r.program, r.args, r.function, r.key, r.started, r.where.String(), r.seq, r.moves, r.exit, r.exitedAt,
	})
}

// transfers returns how many transfers of the tasklet this peer knows of for
// certain.
func (r *originEntry) transfers() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// transferred notes a transfer.
func (r *originEntry) transferred(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = max(r.seq, seq)
}

// exitedBefore reports whether it is known to have exited so long ago.
func (r *originEntry) exitedBefore(age time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.exit != nil && r.host.older(r.exitedAt, age)
}

// apply takes an event in.
func (r *originEntry) apply(e event) error {
	if e.Moved != nil {
		if _, err := p2p.ParseID(e.Moved.To); err != nil {
			return err
		}
		if err := validateTold(e.Moved.Hop); err != nil {
			return err
		}
	}
	r.learn(e)
	if e.Moved == nil && e.Exited == nil {
		return nil
	}
	if err := r.host.update(r.save); err != nil {
		r.host.log.Error("new state of a tasklet could not be recorded", "tasklet", r.id, "error", err)
	}
	if e.Exited != nil {
		r.done.close()
	}
	return nil
}

func (r *originEntry) learn(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end := e.At + int64(len(e.Output)); end > r.position {
		if lost := e.At - r.position; lost > 0 {
			r.out.Write(output.LostNotice(lost))
			r.position = e.At
		}
		r.out.Write(e.Output[r.position-e.At:])
		r.position = end
	}
	switch {
	case e.State != "":
		r.suspended = e.State == Suspended
	case e.Moved != nil:
		to, _ := p2p.ParseID(e.Moved.To)
		r.host.node.AddAddrs(to, e.Moved.Addrs)
		r.where, r.suspended = to, false
		if e.Moved.Hop != (Hop{}) {
			r.moves = appendHop(r.moves, e.Moved.Hop)
		}
	case e.Exited != nil:
		r.exit, r.exitedAt = e.Exited, r.host.uptime()
		r.out.Close()
		r.out.CloseFile()
	}
}

func appendHop(moves []Hop, hop Hop) []Hop {
	moves = append(moves[:len(moves):len(moves)], hop)
	return moves[max(0, len(moves)-maxMoves):]
}

// answer answers who asks this peer for a tasklet that it started and that is
// elsewhere.
func (r *originEntry) answer(q *control, from p2p.ID) (*reply, error) {
	exited, where := r.exited(), r.host.lastSeen(r)
	switch {
	case exited == nil && where != r.host.node.ID():
		return &reply{Moved: &forward{To: where.String(), Addrs: r.host.node.AddrsOf(where)}}, nil
	case exited != nil && q.Wait:
		return &reply{Exited: exited}, nil
	case !r.key.proves(q.Proof, r.id, from, r.host.node.ID()):
		return nil, refused(r.id)
	case exited == nil: // it is just coming
		return nil, fmt.Errorf("%w: %s is not at peer %s", ErrNotFound, r.id, where)
	case q.Info:
		i := r.info()
		return &reply{Info: &i}, nil
	}
	return nil, ErrExited
}

// located notes where the tasklet was found in the DHT, because those who were to
// tell where it went are gone.
func (r *originEntry) located(at p2p.ID) {
	r.mu.Lock()
	moved := r.where != at
	r.where = at
	r.mu.Unlock()
	if !moved {
		return
	}
	if err := r.host.update(r.save); err != nil {
		r.host.log.Error("host of a tasklet could not be recorded", "tasklet", r.id, "error", err)
	}
}

// exited returns how it exited, or nil.
func (r *originEntry) exited() *exit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.exit
}

// at returns where the tasklet was last known to be.
func (r *originEntry) at() p2p.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where
}

func (r *originEntry) info() Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := Info{
		ID: r.id, Program: r.program, Args: r.args, Function: r.function, Origin: r.host.self, Host: r.where.String(),
		State: Running, Started: r.started, Moves: append([]Hop(nil), r.moves...),
	}
	switch {
	case r.exit != nil:
		i.set(r.exit)
	case !r.reachable:
		i.State = Unknown
	case r.suspended:
		i.State = Suspended
	}
	return i
}
