package tasklet

import (
	"context"
	"errors"
	"io"
	"time"
)

// A Tasklet is a handle on a running program, wherever it runs. It survives
// any number of moves. It is safe for concurrent use.
type Tasklet struct {
	id   ID
	host *Host
}

// A State says what a tasklet is doing.
type State string

// The states of a tasklet.
const (
	Running State = "running"
	Moving  State = "moving"
	Exited  State = "exited"
	Unknown State = "unknown" // its host cannot be asked
)

// Info tells of a tasklet.
type Info struct {
	ID      ID        `json:"id"`
	Program string    `json:"program"` // CID
	Args    []string  `json:"args"`
	Origin  string    `json:"origin"` // peer that started it
	Host    string    `json:"host"`   // peer that has it, as far as this one knows
	State   State     `json:"state"`
	Status  int       `json:"status"` // exit status, if it exited
	Error   string    `json:"error,omitempty"`
	Memory  uint64    `json:"memory"` // bytes, if it runs here
	Started time.Time `json:"started"`
	Moves   []Hop     `json:"moves,omitempty"` // the latest 16, oldest first
}

// A Hop is one move of a tasklet.
type Hop struct {
	From   string        `json:"from"`   // peer
	To     string        `json:"to"`     // peer
	Bytes  uint64        `json:"bytes"`  // of memory that the continuation stands for
	New    uint64        `json:"new"`    // of these, bytes that the destination did not have
	Sent   uint64        `json:"sent"`   // bytes that went over the network, compressed
	Frozen time.Duration `json:"frozen"` // how long the program stood still
}

// ID returns the tasklet's ID.
func (t *Tasklet) ID() ID { return t.id }

// Info tells what this peer knows of the tasklet.
func (t *Tasklet) Info() Info { panic("soon") }

// Where returns the ID of the peer that hosts the tasklet, or that hosted it
// when it exited.
func (t *Tasklet) Where(ctx context.Context) (string, error) { return "", errors.New("soon") }

// Move moves the tasklet to the peer with that ID, and returns when it runs
// there. On an error it goes on where it was.
func (t *Tasklet) Move(ctx context.Context, peer string) error { return errors.New("soon") }

// Kill ends the tasklet, wherever it runs.
func (t *Tasklet) Kill(ctx context.Context) error { return errors.New("soon") }

// Wait waits until the tasklet has exited and returns its exit status. The
// error is nil for a program that ended by itself, whatever its status, and
// wraps ErrKilled if it was killed.
func (t *Tasklet) Wait(ctx context.Context) (status int, err error) { return 0, errors.New("soon") }

// Output returns a reader of all that the tasklet wrote to its standard output
// and standard error, from the start, wherever it ran. At the end of what is
// there, the reader returns io.EOF, or if follow is set waits for more until
// the tasklet has exited. Closing the reader, or the end of ctx, ends a Read
// that waits.
//
// The peer that started a tasklet keeps its output; on other peers Output asks
// that peer.
func (t *Tasklet) Output(ctx context.Context, follow bool) (io.ReadCloser, error) {
	return nil, errors.New("soon")
}
