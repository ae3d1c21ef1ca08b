package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tracked shadow is the guest's memory itself. What it takes over is write
// protected, and the kernel, which lifts the protection of a page when it is
// written to, tells by that which have changed. Nothing is copied, and huge pages
// stay what they are until the guest writes to a part of them.
//
// It needs Linux 6.7, and a system that lets the process have a userfaultfd, as
// some containers do not. See the kernel's
// Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst.
type tracked struct {
	memory  *memory
	base    uint64 // address of the memory
	faults  int    // the userfaultfd, which holds the protection
	pagemap *os.File
	have    uint64 // bytes of memory that are protected
	found   []pageRegion
}

// What follows is from linux/userfaultfd.h and linux/fs.h.
const (
	faultsUserModeOnly = 1
	faultsAPI          = 0xaa
	faultsUnpopulated  = 1 << 13
	faultsAsync        = 1 << 15
	faultsWriteProtect = 1 << 1

	ioctlFaultsAPI      = 0xc018aa3f
	ioctlFaultsRegister = 0xc020aa00
	ioctlPagemapScan    = 0xc0606610

	scanProtect  = 1 << 0 // what is found
	pageWritten  = 1 << 1 // or never protected
	pageOfFile   = 1 << 2
	pagePresent  = 1 << 3
	pageSwapped  = 1 << 4
	scanArgBytes = 96
)

type faultsFeatures struct{ api, features, ioctls uint64 }

type faultsRange struct{ start, length, mode, ioctls uint64 }

type pageRegion struct{ start, end, categories uint64 }

type pageScan struct {
	size, flags, start, end, walked, found, room, most uint64
	inverted, all, any, tell                           uint64 // categories
}

// newTracked returns a shadow of a new memory.
func newTracked(m *memory) (*tracked, error) {
	s := &tracked{memory: m, base: m.base(), faults: -1, found: make([]pageRegion, 256)}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *tracked) open() (err error) {
	if s.pagemap, err = os.Open("/proc/self/pagemap"); err != nil {
		return err
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|faultsUserModeOnly, 0, 0)
	if errno != 0 {
		return errno
	}
	s.faults = int(fd)
	features := faultsFeatures{api: faultsAPI, features: faultsUnpopulated | faultsAsync}
	if err := ioctl(fd, ioctlFaultsAPI, unsafe.Pointer(&features)); err != nil {
		return err
	}
	all := faultsRange{start: s.base, length: uint64(len(s.memory.space)), mode: faultsWriteProtect}
	if err := ioctl(fd, ioctlFaultsRegister, unsafe.Pointer(&all)); err != nil {
		return err
	}
	_, err = s.written(0, SnapshotPage, 0) // an older kernel cannot tell
	return err
}

func ioctl(fd uintptr, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// written returns the pages of memory between two positions that are not
// protected, or not any more, in order. The flag scanProtect protects them. Pages
// that the guest has never touched are not among them, nor those of the program's
// file that it has only read: to look at them takes memory. With an error it
// returns all that may have been protected.
func (s *tracked) written(lo, hi, flags uint64) (pages []uint32, err error) {
	for lo < hi {
		scan := pageScan{
			size: scanArgBytes, flags: flags, start: s.base + lo, end: s.base + hi,
			found: uint64(uintptr(unsafe.Pointer(&s.found[0]))), room: uint64(len(s.found)),
			all: pageWritten | pageOfFile, inverted: pageOfFile, any: pagePresent | pageSwapped,
			tell: pageWritten,
		}
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, s.pagemap.Fd(), ioctlPagemapScan, uintptr(unsafe.Pointer(&scan)))
		if errno != 0 {
			for at := lo; at < hi; at += SnapshotPage {
				pages = append(pages, uint32(at/SnapshotPage))
			}
			return pages, errno
		}
		for _, r := range s.found[:n] {
			for at := r.start; at < r.end; at += SnapshotPage {
				pages = append(pages, uint32((at-s.base)/SnapshotPage))
			}
		}
		lo = scan.walked - s.base
	}
	return pages, nil
}

func (s *tracked) taken() uint64 { return s.have }

func (s *tracked) dirty() ([]uint32, error) { return s.written(0, s.have, 0) }

// take takes over what lies between the pages, too.
func (s *tracked) take(_ []byte, pages []uint32) ([]uint32, error) {
	lo, hi := uint64(pages[0]), uint64(pages[len(pages)-1])+1
	return s.written(lo*SnapshotPage, hi*SnapshotPage, scanProtect)
}

func (s *tracked) extend(_ []byte, to uint64) ([]uint32, error) {
	pages, err := s.written(s.have, to, scanProtect)
	if err == nil {
		s.have = to
	}
	return pages, err
}

func (s *tracked) page(n uint32) []byte {
	return s.memory.space[uint64(n)*SnapshotPage:][:SnapshotPage]
}

// close ends the protection of what there is of the memory.
func (s *tracked) close() {
	if s.pagemap != nil {
		s.pagemap.Close()
	}
	if s.faults >= 0 {
		unix.Close(s.faults)
	}
}
