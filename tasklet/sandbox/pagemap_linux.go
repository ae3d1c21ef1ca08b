package sandbox

import (
	"encoding/binary"
	"os"
)

// A pageEntry is what /proc/self/pagemap tells of a page; see the kernel's
// Documentation/admin-guide/mm/pagemap.rst.
type pageEntry uint64

const pageEntryBytes = 8

// present reports whether the page is in memory: reading it takes none.
func (e pageEntry) present() bool { return e&(1<<63) != 0 }

func (e pageEntry) swapped() bool { return e&(1<<62) != 0 }

// private reports whether the page, if there is one, belongs to no file.
func (e pageEntry) private() bool { return e&(1<<61) == 0 }

// protected reports whether a userfaultfd protects the page from writing.
func (e pageEntry) protected() bool { return e&(1<<57) != 0 }

// eachPage calls f with the pages between two positions of the memory that lies
// at base, in order. Both are multiples of SnapshotPage. It touches no page.
func eachPage(pagemap *os.File, base, lo, hi uint64, f func(n uint32, e pageEntry)) error {
	buf := make([]byte, min((hi-lo)/SnapshotPage, 64<<10)*pageEntryBytes)
	for lo < hi {
		part := buf[:min(uint64(len(buf)), (hi-lo)/SnapshotPage*pageEntryBytes)]
		if _, err := pagemap.ReadAt(part, int64((base+lo)/SnapshotPage*pageEntryBytes)); err != nil {
			return err
		}
		for ; len(part) > 0; part = part[pageEntryBytes:] {
			f(uint32(lo/SnapshotPage), pageEntry(binary.LittleEndian.Uint64(part)))
			lo += SnapshotPage
		}
	}
	return nil
}
