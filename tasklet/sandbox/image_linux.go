package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An image is a program's initial memory contents, in a file that exists in
// memory only, so that instances share what they do not change.
type image struct {
	data []byte // the file's contents, if there is one
	fd   int    // -1: copy data
}

// newImage keeps data if it cannot have a file.
func newImage(data []byte) (*image, error) {
	plain := &image{data: data, fd: -1}
	if len(data) == 0 || len(data)%os.Getpagesize() != 0 {
		return plain, nil
	}
	fd, err := unix.MemfdCreate("dstackless-image", unix.MFD_CLOEXEC)
	if err != nil {
		return plain, nil // an old kernel, or forbidden: instances get copies
	}
	for done := 0; done < len(data); {
		n, err := unix.Write(fd, data[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Close(fd)
			return plain, nil
		}
		done += n
	}
	shared, err := unix.Mmap(fd, 0, len(data), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return plain, nil
	}
	return &image{data: shared, fd: fd}, nil
}

func (img *image) close() {
	if img.fd >= 0 {
		unix.Munmap(img.data)
		unix.Close(img.fd)
		img.data, img.fd = nil, -1
	}
}

// load puts the image into a new memory.
func (m *memory) load(img *image) error {
	if img.fd < 0 || !m.mapped {
		copy(m.bytes(), img.data)
		return nil
	}
	// The mapping replaces a part of the reservation, with which it is
	// unmapped.
	_, err := unix.MmapPtr(img.fd, 0, unsafe.Pointer(&m.space[0]), uintptr(len(img.data)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err
}
