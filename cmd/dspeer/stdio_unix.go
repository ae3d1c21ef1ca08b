//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// wasClosed reports whether a standard file was closed when the program was
// started. Go's runtime has opened /dev/null in its place then, for reading and
// writing, lest a file or a socket that the program opens becomes its standard
// output (runtime/fds_unix.go). Shells open it for one of the two.
func wasClosed(f *os.File) bool {
	there, err := f.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(there, null) {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	both := false
	conn.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		both = err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
	})
	return both
}
