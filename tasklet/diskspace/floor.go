// Package diskspace keeps a part of a disk free from what others bring.
package diskspace

import (
	"errors"
	"fmt"
)

// Reserve is how many bytes stay free on a disk: 64 MiB. Below it nothing of other
// peers is written, so that what one does oneself can still be recorded.
const Reserve = 64 << 20

// ErrLow says that there is too little free space for anything of other peers.
var ErrLow = errors.New("too little free disk space")

// A Probe returns how many bytes are free on the disk that has a folder.
type Probe func(dir string) (free uint64, err error)

// A Floor looks after the free space of one disk. It is safe for concurrent use. A
// nil *Floor is that of a peer without a disk.
type Floor struct {
	dir   string
	probe Probe
}

// NewFloor returns the floor of the disk that has dir, which exists. A nil probe
// stands for that of the system.
func NewFloor(dir string, probe Probe) *Floor {
	if probe == nil {
		probe = free
	}
	return &Floor{dir, probe}
}

// Allow returns an error that wraps [ErrLow] if less than Reserve would be free
// when so many bytes more have been written. Where nothing can be learned of the
// disk, all is allowed.
func (f *Floor) Allow(bytes uint64) error {
	if f == nil {
		return nil
	}
	free, err := f.probe(f.dir)
	if err != nil || free >= Reserve && free-Reserve >= bytes {
		return nil
	}
	return fmt.Errorf("%w: %d bytes are free, %d of them for this peer itself; %d are asked for", ErrLow, free, uint64(Reserve), bytes)
}
