package sandbox

import (
	"iter"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A mapped shadow is a file that exists in memory only, of which the guest's
// memory becomes a private mapping: the guest's writes make the kernel copy the
// page, and /proc/self/pagemap tells which pages were copied. To take a page
// over, it is written to the file, and the guest's copy dropped.
type mapped struct {
	memory  *memory
	base    uint64 // address of the memory
	fd      int
	view    []byte // the file
	have    uint64 // bytes of memory that are mapped
	pagemap *os.File
}

// newMapped returns a shadow of a new memory.
func newMapped(m *memory, img *image) (*mapped, error) {
	s := &mapped{memory: m, base: m.base(), fd: -1}
	if err := s.open(img); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *mapped) open(img *image) (err error) {
	if s.pagemap, err = os.Open("/proc/self/pagemap"); err != nil {
		return err
	}
	if s.fd, err = unix.MemfdCreate("dstackless-memory", unix.MFD_CLOEXEC); err != nil {
		return err
	}
	if err = unix.Ftruncate(s.fd, int64(len(s.memory.space))); err != nil {
		return err
	}
	// Pages of the image that the guest has not changed are not taken over.
	if err = s.write(img.data, 0); err != nil {
		return err
	}
	s.view, err = unix.Mmap(s.fd, 0, len(s.memory.space), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_NORESERVE)
	return err
}

func (s *mapped) write(data []byte, at int64) error {
	for len(data) > 0 {
		n, err := unix.Pwrite(s.fd, data, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data, at = data[n:], at+int64(n)
	}
	return nil
}

func (s *mapped) taken() uint64 { return s.have }

func (s *mapped) dirty() ([]uint32, error) { return s.copies(0, s.have) }

// copies returns the pages of memory between two positions that the guest has
// copies of, in memory or swapped out.
func (s *mapped) copies(lo, hi uint64) (pages []uint32, err error) {
	err = eachPage(s.pagemap, s.base, lo, hi, func(n uint32, e pageEntry) {
		if (e.present() || e.swapped()) && e.private() {
			pages = append(pages, n)
		}
	})
	return pages, err
}

func (s *mapped) take(memory []byte, pages []uint32) (changed []uint32, err error) {
	for run := range runs(pages) {
		part := memory[int(run[0])*SnapshotPage:][:len(run)*SnapshotPage]
		if err := s.write(part, int64(run[0])*SnapshotPage); err != nil {
			return changed, err
		}
		if err := unix.Madvise(part, unix.MADV_DONTNEED); err != nil {
			return changed, err
		}
		changed = append(changed, run...)
	}
	return changed, nil
}

func (s *mapped) extend(memory []byte, to uint64) ([]uint32, error) {
	pages, err := s.copies(s.have, to)
	if err != nil {
		return nil, err
	}
	for run := range runs(pages) {
		start := int(run[0]) * SnapshotPage
		if err := s.write(memory[start:start+len(run)*SnapshotPage], int64(start)); err != nil {
			return nil, err
		}
	}
	_, err = unix.MmapPtr(s.fd, int64(s.have), unsafe.Pointer(&s.memory.space[s.have]), uintptr(to-s.have),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	s.have = to
	return pages, nil
}

// runs yields pages, which are in order, in parts that lie side by side.
func runs(pages []uint32) iter.Seq[[]uint32] {
	return func(yield func([]uint32) bool) {
		for len(pages) > 0 {
			n := 1
			for n < len(pages) && pages[n] == pages[0]+uint32(n) {
				n++
			}
			if !yield(pages[:n]) {
				return
			}
			pages = pages[n:]
		}
	}
}

func (s *mapped) page(n uint32) []byte {
	return s.view[int(n)*SnapshotPage:][:SnapshotPage]
}

func (s *mapped) close() {
	if s.pagemap != nil {
		s.pagemap.Close()
	}
	if s.view != nil {
		unix.Munmap(s.view)
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}
