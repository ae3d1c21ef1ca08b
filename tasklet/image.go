package tasklet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// pageSize is the unit in which memory is compared and sent, in bytes.
const pageSize = sandbox.SnapshotPage

type pageHash = [sha256.Size]byte

// A PageList says what a memory is, or what has become of it: it has Size
// bytes, of which the pages listed have contents with these hashes (SHA-256).
// Those that are not listed are as in the list before, and in the first list of
// a move as in the program's own initial memory, or zero behind it.
type PageList struct {
	Size   uint64   // of the memory, in bytes
	Index  []uint32 // of pages, ascending
	Hashes []byte   // of these pages, one behind the other
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

func (l *PageList) hash(n int) pageHash {
	return pageHash(l.Hashes[n*sha256.Size:])
}

// bytes is the size of the pages listed.
func (l *PageList) bytes() uint64 { return uint64(len(l.Index)) * pageSize }

func (l *PageList) add(i uint32, hash pageHash) {
	l.Index = append(l.Index, i)
	l.Hashes = append(l.Hashes, hash[:]...)
}

// validate checks a list that came from elsewhere. The memory may have limit
// bytes.
func (l *PageList) validate(limit uint64) error {
	switch {
	case l.Size > limit:
		return fmt.Errorf("%w: its memory of %d bytes is over the limit of %d", ErrContinuation, l.Size, limit)
	case l.Size%program.PageSize != 0:
		return fmt.Errorf("%w: its memory of %d bytes is no whole number of pages", ErrContinuation, l.Size)
	case uint64(len(l.Index)) > l.Size/pageSize, len(l.Hashes) != len(l.Index)*sha256.Size:
		return fmt.Errorf("%w: it lists %d pages and %d bytes of hashes for a memory of %d bytes", ErrContinuation, len(l.Index), len(l.Hashes), l.Size)
	}
	for n, i := range l.Index {
		if uint64(i) >= l.Size/pageSize || n > 0 && i <= l.Index[n-1] {
			return fmt.Errorf("%w: its pages are not in order", ErrContinuation)
		}
	}
	return nil
}

// A ledger knows what each page of a memory is.
type ledger struct {
	image  []byte     // the program's own memory
	size   uint64     // of the memory, in bytes
	hashes []pageHash // by page; zero: as in the image
	differ int        // how many are not
}

// hash returns the hash of a page, or zero if it is as in the image.
func (l *ledger) hash(i uint32) pageHash {
	if int(i) >= len(l.hashes) {
		return pageHash{}
	}
	return l.hashes[i]
}

// resize notes how large the memory is.
func (l *ledger) resize(size uint64) {
	l.size = size
	if n := int(size / pageSize); n > len(l.hashes) {
		l.hashes = append(l.hashes, make([]pageHash, n-len(l.hashes))...)
	}
}

// set notes that page i has a hash.
func (l *ledger) set(i uint32, hash pageHash) {
	if end := (uint64(i) + 1) * pageSize; end > uint64(len(l.hashes))*pageSize {
		l.resize(max(end, l.size))
	}
	if l.hashes[i] == (pageHash{}) {
		l.differ++
	}
	l.hashes[i] = hash
}

// all lists all pages that differ from the image.
func (l *ledger) all() *PageList {
	list := &PageList{Size: l.size, Index: make([]uint32, 0, l.differ), Hashes: make([]byte, 0, l.differ*sha256.Size)}
	for i, hash := range l.hashes {
		if hash != (pageHash{}) {
			list.add(uint32(i), hash)
		}
	}
	return list
}

// update takes over what s says may have changed, and lists what has.
func (l *ledger) update(s *sandbox.Snapshot, pages []uint32) *PageList {
	l.resize(s.Size())
	list := &PageList{Size: l.size}
	for n, hash := range l.look(s, pages) {
		if i := pages[n]; hash != l.hash(i) {
			l.set(i, hash)
			list.add(i, hash)
		}
	}
	return list
}

// look returns the hashes of pages of s, or zero for those that always were as
// in the image. Each processor takes its part.
func (l *ledger) look(s *sandbox.Snapshot, pages []uint32) []pageHash {
	hashes := make([]pageHash, len(pages))
	part := max((len(pages)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), minPart)
	var looking sync.WaitGroup
	for lo := 0; lo < len(pages); lo += part {
		hi := min(lo+part, len(pages))
		looking.Go(func() {
			for n, i := range pages[lo:hi] {
				page := s.Page(i)
				if l.hash(i) != (pageHash{}) || !bytes.Equal(page, original(l.image, int(i))) {
					hashes[lo+n] = hashOf(page)
				}
			}
		})
	}
	looking.Wait()
	return hashes
}

// minPart is how many pages are worth a goroutine.
const minPart = 128
