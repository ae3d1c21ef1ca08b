package sandbox

import "time"

const (
	// trimAgain is how long a guest's host does not look again whether it
	// needs all the memory that it has.
	trimAgain = time.Minute
	// maxTrim is the size of the largest memory that is looked at: above it,
	// it would take so long that the guest might be missed.
	maxTrim = 16 << 20
)

// trimPage is the unit in which memory is given back, in bytes.
const trimPage = 4096

// trim gives memory back that the guest has written nothing but zeros to: the
// Go runtime clears much that is never used. The guest's goroutine calls it
// while it waits, at a time when nobody else looks at its memory.
func (i *Instance) trim() {
	if time.Since(i.trimmed) < trimAgain {
		return
	}
	i.trimmed = time.Now()
	memory := i.mem.bytes()
	from := (len(i.code.image.data) + trimPage - 1) / trimPage * trimPage
	if len(memory) > maxTrim || from > len(memory) {
		return
	}
	for at := from; at < len(memory); {
		end := at
		for end < len(memory) && isZero(memory[end:end+trimPage]) {
			end += trimPage
		}
		if end > at {
			giveBack(memory[at:end])
		}
		at = end + trimPage
	}
}

// isZero reports whether a page is zero.
func isZero(page []byte) bool { return [trimPage]byte(page) == [trimPage]byte{} }
