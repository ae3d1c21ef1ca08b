package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// ErrNotGuest says that this program does not run inside a tasklet.
var ErrNotGuest = errors.New("guest: this program does not run inside a tasklet; build it with GOOS=wasip1 GOARCH=wasm and give it to a peer")

// host is the one host that a program has.
var host = link{waiting: map[uint64]func(reply){}}

// Space returns the channels of the peer that the program is on. What is open
// and what waits stays so when the program moves.
func Space() channel.Space { return &theSpace }

// Move moves this program, all of it, to a peer, which is given by its ID, or by
// its name as the peer where the program is finds it. It returns nil on that
// peer, and an error where the program was: then it is there still. All
// goroutines of the program go along and need not know.
//
// When ctx ends first the move is given up, unless it can no longer be.
func Move(ctx context.Context, peer string) error {
	if len(peer) > abi.MaxString {
		return fmt.Errorf("guest: move: the peer's ID has %d bytes", len(peer))
	}
	if _, err := host.call(ctx, abi.KindMove, abi.AppendString(nil, peer)); err != nil {
		return fmt.Errorf("guest: move to %q: %w", peer, err)
	}
	return nil
}

// Host returns the ID of the peer that the program is on at the moment.
func Host(ctx context.Context) (string, error) {
	id, err := host.call(ctx, abi.KindHost, nil)
	if err != nil {
		return "", fmt.Errorf("guest: host: %w", err)
	}
	return string(id), nil
}

// ID returns the ID of the tasklet that the program is. It does not change.
func ID(ctx context.Context) (string, error) {
	id, err := host.call(ctx, abi.KindSelf, nil)
	if err != nil {
		return "", fmt.Errorf("guest: tasklet ID: %w", err)
	}
	return string(id), nil
}
