package tasklet

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// pageSize is the unit in which memory is compared and sent, in bytes.
const pageSize = sandbox.SnapshotPage

type pageHash = [sha256.Size]byte

// A PageList says what a memory is, or what has become of it: it has Size
// bytes, of which the pages listed have contents with these hashes (SHA-256), or
// follow, if there are no hashes. A page that follows may be newer than its hash:
// then a later list has it again. Those that are not listed are as in the list
// before, and in the first list of a move as in the program's own initial memory,
// or zero behind it.
type PageList struct {
	Size   uint64   // of the memory, in bytes
	Index  []uint32 // of pages, ascending
	Hashes []byte   // of these pages, one behind the other, or none
}

// zeros is a page of new memory.
var zeros [pageSize]byte

// original returns the i-th page of a program's own memory.
func original(image []byte, i int) []byte {
	switch start := i * pageSize; {
	case start >= len(image):
		return zeros[:]
	case start+pageSize > len(image):
		page := make([]byte, pageSize)
		copy(page, image[start:])
		return page
	default:
		return image[start : start+pageSize]
	}
}

func hashOf(page []byte) pageHash { return sha256.Sum256(page) }

// hash returns the hash of the n-th page listed, or zero if it is not told.
func (l *PageList) hash(n int) pageHash {
	if len(l.Hashes) == 0 {
		return pageHash{}
	}
	return pageHash(l.Hashes[n*sha256.Size:])
}

// bytes is the size of the pages listed.
func (l *PageList) bytes() uint64 { return uint64(len(l.Index)) * pageSize }

// validate checks a list that came from elsewhere. The memory may have limit
// bytes.
func (l *PageList) validate(limit uint64) error {
	switch {
	case l.Size > limit:
		return fmt.Errorf("%w: its memory of %d bytes is over the limit of %d", ErrContinuation, l.Size, limit)
	case l.Size%program.PageSize != 0:
		return fmt.Errorf("%w: its memory of %d bytes is no whole number of pages", ErrContinuation, l.Size)
	case uint64(len(l.Index)) > l.Size/pageSize, len(l.Hashes) > 0 && len(l.Hashes) != len(l.Index)*sha256.Size:
		return fmt.Errorf("%w: it lists %d pages and %d bytes of hashes for a memory of %d bytes", ErrContinuation, len(l.Index), len(l.Hashes), l.Size)
	}
	for n, i := range l.Index {
		if uint64(i) >= l.Size/pageSize || n > 0 && i <= l.Index[n-1] {
			return fmt.Errorf("%w: its pages are not in order", ErrContinuation)
		}
	}
	return nil
}

// A pageTable knows which pages of a memory differ from the program's own, and of
// some what they are.
type pageTable struct {
	image   []byte     // the program's own memory
	size    uint64     // of the memory, in bytes
	differs []bool     // by page
	differ  int        // how many do
	hashes  []pageHash // by page; zero: not known
}

// resize notes how large the memory is.
func (l *pageTable) resize(size uint64) {
	l.size = size
	if n := int(size / pageSize); n > len(l.differs) {
		l.differs = append(l.differs, make([]bool, n-len(l.differs))...)
		l.hashes = append(l.hashes, make([]pageHash, n-len(l.hashes))...)
	}
}

// set notes that page i differs from the image. Its hash is zero if it is not
// known.
func (l *pageTable) set(i uint32, hash pageHash) {
	if end := (uint64(i) + 1) * pageSize; end > uint64(len(l.differs))*pageSize {
		l.resize(max(end, l.size))
	}
	if !l.differs[i] {
		l.differs[i] = true
		l.differ++
	}
	l.hashes[i] = hash
}

// all returns all pages that differ from the image.
func (l *pageTable) all() []uint32 {
	pages := make([]uint32, 0, l.differ)
	for i, differs := range l.differs {
		if differs {
			pages = append(pages, uint32(i))
		}
	}
	return pages
}

// update takes over what s says may have changed, and lists what has, or may
// have, without hashes.
func (l *pageTable) update(s *sandbox.Snapshot, pages []uint32) *PageList {
	l.resize(s.Size())
	list := &PageList{Size: l.size}
	for _, i := range pages {
		if l.differs[i] || !s.Equal(i, original(l.image, int(i))) {
			l.set(i, pageHash{})
			list.Index = append(list.Index, i)
		}
	}
	return list
}

// list lists pages that differ, with their hashes.
func (l *pageTable) list(pages []uint32, from appender) *PageList {
	l.hashPages(pages, from)
	list := &PageList{Size: l.size, Index: pages, Hashes: make([]byte, 0, len(pages)*sha256.Size)}
	for _, i := range pages {
		list.Hashes = append(list.Hashes, l.hashes[i][:]...)
	}
	return list
}

// An appender appends a page to b.
type appender func(b []byte, i uint32) []byte

// pagesOf returns the appender of the pages of a memory.
func pagesOf(memory []byte) appender {
	return func(b []byte, i uint32) []byte { return append(b, memory[int(i)*pageSize:][:pageSize]...) }
}

// hashPages finds out the hashes of pages that differ. Each processor takes its part.
func (l *pageTable) hashPages(pages []uint32, from appender) {
	part := max((len(pages)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), hashPartPages)
	var naming sync.WaitGroup
	for some := range slices.Chunk(pages, part) {
		naming.Go(func() {
			var page []byte
			for _, i := range some {
				if l.hashes[i] == (pageHash{}) {
					page = from(page[:0], i)
					l.hashes[i] = hashOf(page)
				}
			}
		})
	}
	naming.Wait()
}

// hashPartPages is how many pages are worth a goroutine.
const hashPartPages = 128
