package tasklet

import (
	"fmt"

	"github.com/dstackless/dstackless/tasklet/diskspace"
)

// checkDiskSpace returns an error if the bytes of an incoming move would leave too
// little of the disk free. A tasklet that was started here may come home all the same: what is
// one's own is tried.
func (a *incomingMove) checkDiskSpace(bytes uint64, own bool) error {
	if own {
		return nil
	}
	if err := a.host.floor.Allow(bytes); err != nil {
		return fmt.Errorf("%w: peer %s takes in nothing of others: %w", ErrRefused, a.host.self, err)
	}
	return nil
}

// openFloor looks after the disk of the data folder, if there is one.
func (h *Host) openFloor() {
	if h.disk != nil {
		h.floor = diskspace.NewFloor(h.opts.DataDir, h.opts.free)
	}
}
