// Package tasklet runs programs that move from peer to peer while they run.
package tasklet

import (
	"context"
	"errors"
)

var (
	// ErrKilled says that a tasklet ended because it was killed.
	ErrKilled = errors.New("killed")
	// ErrRefused says that a peer does not accept a tasklet.
	ErrRefused = errors.New("refused")
	// ErrNotFound says that no tasklet has that ID.
	ErrNotFound = errors.New("no such tasklet")
	// ErrAmbiguous says that several tasklets' IDs begin like that.
	ErrAmbiguous = errors.New("ambiguous tasklet ID")
	// ErrExited says that the tasklet has exited.
	ErrExited = errors.New("tasklet has exited")
	// ErrClosed says that the peer is shut down.
	ErrClosed = errors.New("tasklet host is closed")
)

// A Host is this peer's part in hosting tasklets.
type Host struct{}

// Spawn starts a program on this peer.
func (h *Host) Spawn(ctx context.Context, wasm []byte, args ...string) (*Tasklet, error) {
	return nil, errors.New("soon")
}

// Find returns the tasklet whose ID is, or alone begins with, prefix, among
// those that this peer started or hosts.
func (h *Host) Find(prefix string) (*Tasklet, error) { return nil, errors.New("soon") }

// List tells of the tasklets that this peer started or hosts, oldest first.
func (h *Host) List() []Info { return nil }
