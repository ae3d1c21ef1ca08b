package tasklet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
)

// pageSize is the unit in which memory is compared and sent, in bytes.
const pageSize = 4096

type pageHash [sha256.Size]byte

// A PageList says what a memory is: the program's own initial memory, grown
// with zeros to Size, but for the pages listed, whose contents have these
// hashes (SHA-256).
type PageList struct {
	Size   uint64   // of the memory, in bytes
	Index  []uint32 // of the pages that differ, ascending
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

// validate checks a list that came from elsewhere. The memory may have limit
// bytes.
func (l *PageList) validate(limit uint64) error {
	switch {
	case l.Size > limit:
		return fmt.Errorf("%w: its memory of %d bytes is over the limit of %d", ErrContinuation, l.Size, limit)
	case l.Size%pageSize != 0:
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

// A snapshot is a memory as it was, and the list of its pages.
type snapshot struct {
	memory []byte
	list   PageList
}

// known returns the hash of page i if the snapshot lists it as equal to page.
func (s *snapshot) known(i int, page []byte) (pageHash, bool) {
	if s == nil || (i+1)*pageSize > len(s.memory) || !bytes.Equal(page, s.memory[i*pageSize:(i+1)*pageSize]) {
		return pageHash{}, false
	}
	n, ok := slices.BinarySearch(s.list.Index, uint32(i))
	if !ok {
		return pageHash{}, false
	}
	return s.list.hash(n), true
}

// shoot lists the pages of memory. Where a page is as it was in the snapshot
// before, which may be nil, it is not hashed again. The snapshot shares its
// memory with the caller.
func shoot(image, memory []byte, before *snapshot) *snapshot {
	s := &snapshot{memory: memory, list: PageList{Size: uint64(len(memory))}}
	for i := range len(memory) / pageSize {
		page := memory[i*pageSize : (i+1)*pageSize]
		if bytes.Equal(page, original(image, i)) {
			continue
		}
		hash, known := before.known(i, page)
		if !known {
			hash = hashOf(page)
		}
		s.list.Index = append(s.list.Index, uint32(i))
		s.list.Hashes = append(s.list.Hashes, hash[:]...)
	}
	return s
}

// page returns the contents of the n-th page listed.
func (s *snapshot) page(n int) []byte {
	start := int(s.list.Index[n]) * pageSize
	return s.memory[start : start+pageSize]
}
