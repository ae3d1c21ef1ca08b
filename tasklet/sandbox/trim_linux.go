package sandbox

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// trimAgain is how long a guest's host does not look again whether it
	// needs all the memory that it has.
	trimAgain = time.Minute
	// maxTrim is the size of the largest memory that is looked at, in bytes:
	// above it, it would take so long that the guest might be missed.
	maxTrim = 16 << 20
)

// trim gives memory back that the guest has written nothing but zeros to: the
// Go runtime clears much that is never used. The guest's goroutine calls it
// while it waits, at a time when nobody else looks at its memory.
//
// It reads no page that the guest has not touched, nor one that it gave back:
// there are kernels on which a page that is only read takes up memory. Where the
// kernel does not tell which pages those are, nothing is given back.
func (i *Instance) trim() {
	if time.Since(i.trimmed) < trimAgain {
		return
	}
	i.trimmed = time.Now()
	if os.Getpagesize() != SnapshotPage || !i.mem.mapped || i.mem.size > maxTrim {
		return
	}
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return
	}
	defer pagemap.Close()
	image := (uint64(len(i.code.image.data)) + SnapshotPage - 1) / SnapshotPage * SnapshotPage
	taken, memory := i.taken(), i.mem.bytes()
	var zero []uint32
	err = eachPage(pagemap, i.mem.base(), min(image, i.mem.size), i.mem.size, func(n uint32, e pageEntry) {
		// A page that has changed since the snapshot was brought up to date
		// stays: given back, it would look as if it had not.
		unchanged := uint64(n) >= taken/SnapshotPage || e.protected()
		if e.present() && e.private() && unchanged && isZero(memory[int(n)*SnapshotPage:]) {
			zero = append(zero, n)
		}
	})
	if err != nil {
		return
	}
	for run := range runs(zero) {
		// What is not given back is still zero.
		unix.Madvise(memory[int(run[0])*SnapshotPage:][:len(run)*SnapshotPage], unix.MADV_DONTNEED)
	}
}

// taken returns how much of the memory the snapshot has taken over, in bytes.
func (i *Instance) taken() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.snap == nil {
		return 0
	}
	return i.snap.shadow.taken()
}

// isZero reports whether a memory begins with a page of zeros.
func isZero(memory []byte) bool {
	return [SnapshotPage]byte(memory) == [SnapshotPage]byte{}
}
