//go:build unix

package control_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dstackless/dstackless/control"
)

// At no moment can others open the socket, whatever the umask.
func TestSocketIsBornPrivate(t *testing.T) {
	peer := serve(t).peer
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0))
	stop, open := make(chan struct{}), make(chan fs.FileMode, 1)
	go func() {
		defer close(open)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if i, err := os.Lstat(filepath.Join(dir, "control.sock")); err == nil && i.Mode().Perm()&0o077 != 0 {
				open <- i.Mode()
				return
			}
		}
	}()
	for range 100 {
		s, err := control.Serve(dir, peer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if mode, ok := <-open; ok {
		t.Errorf("the socket was %v", mode)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
