package tasklet

import (
	"log/slog"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// Options are the settings of a [Host].
type Options struct {
	// DataDir is the folder in which the host keeps what it must not forget:
	// tasklets that are suspended, records of moves, output. With it, a host
	// that is closed suspends its tasklets and resumes them when it is started
	// again, and one that crashed makes them go on from their last record,
	// see Checkpoint. Only one host may use it.
	//
	// It is for this host's own crashes, whether or not the other host of a
	// move has one: the tasklet is at one of the two then, when this host is
	// started again, and never at both. Default: none; tasklets end with their
	// host, and it matters when it ends during a move. A tasklet on its way from
	// here is lost, unless all of it has come to its destination, which waits
	// for [Tasklet.Decide] if it does not know that it may run it. One on its
	// way to here stays where it was or, if it had been handed over, is lost.
	//
	// When less than diskspace.Reserve of its disk would be left free, 64 MiB,
	// nothing of other peers is taken in any more.
	DataDir string

	// SetAsideJournal says what to do when the journal in DataDir, in which the
	// host keeps what it must not forget of tasklets, is damaged: it is renamed,
	// and the host starts with a new one and without any tasklet that it had.
	// Default: Start returns an error that wraps [journal.ErrDamaged].
	SetAsideJournal bool

	// CacheDir is the folder for compiled code, which several hosts may
	// share. It has at most 1 GiB; what was not used for longest is removed
	// first. Default: the folder compiled in DataDir, if there is one;
	// otherwise a temporary one that is removed when the host is closed.
	//
	// What other peers bring is compiled by a process of its own only if the
	// executable calls [RunCompiler].
	CacheDir string

	// Checkpoint is the time between two records of each tasklet that runs
	// here, in a host with a DataDir. After a crash of the host a tasklet goes
	// on from its last record, and what it did since is repeated, messages
	// that it sent included: a weaker promise than that of suspending. Without
	// checkpoints the last record is of the tasklet's last move or suspension,
	// or its start. Default: none but those.
	Checkpoint time.Duration

	// Accept are the peers that may move tasklets here. Default: none.
	// Tasklets that were started here may always come back.
	Accept []p2p.ID

	// AcceptAny lets every peer move tasklets here.
	AcceptAny bool

	// TrustLoops says that all programs that run here are known to have no
	// loop that calls nothing for long. Such loops are then not looked at, and
	// compute up to 1.4 times faster; a tasklet in one can be neither moved nor
	// killed, is over no limit, and keeps all of this process waiting when it
	// collects garbage. Default: every loop is looked at.
	TrustLoops bool

	// Functions are the functions that may run here as tasklets, and come from
	// other peers as such. Default: none.
	Functions []AnyFunction

	// Limits are what tasklets may use of this peer. Default: see there.
	Limits Limits

	// Logger takes what an operator may want to know. Default: silence.
	Logger *slog.Logger

	compiler compiler.Options // of tests, like
	free     diskspace.Probe
}
