package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

const (
	// reserveFile takes up the room that [Journal.UpdateFromReserve] frees.
	reserveFile = "reserve"
	// reserveSize is how long it is, in bytes. An update writes the pages of the
	// database that it changes, and the list of the free ones.
	reserveSize = 4 << 20
)

// Reserve takes up room on the disk for [Journal.UpdateFromReserve], 4 MiB, if it
// has not got it. On a disk that has no more it takes what there is, and returns
// an error. Open does it, too.
func (j *Journal) Reserve() error {
	j.reserve.Lock()
	defer j.reserve.Unlock()
	f, err := j.root.OpenFile(reserveFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("journal: reserve: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("journal: reserve: %w", err)
	}
	// Noise: a file system may compress anything else to nothing.
	noise, chunk := rand.NewChaCha8([32]byte{}), make([]byte, 64<<10)
	for left := reserveSize - info.Size(); left > 0; left -= int64(len(chunk)) {
		noise.Read(chunk)
		if _, err := f.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
			return fmt.Errorf("journal: reserve: %w", err)
		}
	}
	return nil
}

// UpdateFromReserve is [Journal.Update] for what has to be recorded also when the
// disk is full: if the update fails, the reserve is freed, and the update is made
// again. Fill the reserve again with [Journal.Reserve].
func (j *Journal) UpdateFromReserve(f func(tx *Tx) error) error {
	err := j.Update(f)
	if err == nil {
		return nil
	}
	j.reserve.Lock()
	defer j.reserve.Unlock()
	if e := j.root.Remove(reserveFile); e != nil && !errors.Is(e, os.ErrNotExist) {
		return errors.Join(err, e)
	}
	return j.Update(f)
}
