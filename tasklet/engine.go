package tasklet

import (
	"context"
	"time"
)

// An engine runs a tasklet here. There are two: a guest is a program in its
// sandbox, a routine is a function. A process has one all the time; while the
// tasklet is suspended it is empty. But for kill, the methods are for whoever
// holds the opLock of the process.
type engine interface {
	// load takes over what the disk has of the tasklet, so that it can be
	// launched.
	load(ctx context.Context, s *checkpointEntry) error
	// launch makes the tasklet run, from its beginning if nothing was taken
	// over. It is not called when the host is closed.
	launch() error
	// unload gives back what the tasklet has here, and leaves its channels. It
	// is idempotent.
	unload() error

	// approach brings to disk what can be brought there while the tasklet runs.
	approach(ctx context.Context) error
	// pause stops the tasklet at a safe point. Its error wraps
	// sandbox.ErrExited or sandbox.ErrClosed if the tasklet came to its end.
	pause(ctx context.Context) error
	// withdraw takes back the operations on channels that are under way, and
	// the tasklet's own moves if those are meant, too.
	withdraw(moves bool)
	// snapshot describes a tasklet that is paused.
	snapshot(ctx context.Context, as phase) (*checkpointEntry, error)
	// sync brings to disk what the description speaks of.
	sync(s *checkpointEntry) error
	// proceed ends a pause, and goOn one in which operations were withdrawn.
	proceed() error
	goOn() error

	// sendState is the source's part of a move, until the destination has said
	// that it is prepared. receiveState is the destination's part until then.
	sendState(ctx context.Context, m *outgoingMove) error
	receiveState(a *incomingMove) error
	// catchUp has the clock of a tasklet that has come, if it has one, show at
	// least so much more than when the source read it.
	catchUp(passed time.Duration)
	// keepPartial is called when an incoming move fails. It keeps the pages that
	// came, for the next attempt.
	keepPartial(a *incomingMove)
	// released is called when the source has committed. It is followed by unload.
	released()

	// kill ends the tasklet, unless it is empty.
	kill(why error)
}
