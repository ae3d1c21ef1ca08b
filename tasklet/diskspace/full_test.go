//go:build unix

package diskspace_test

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/dstackless/dstackless/tasklet/diskspace"
)

func TestFull(t *testing.T) {
	for err, want := range map[error]bool{
		nil:           false,
		os.ErrInvalid: false,
		syscall.EIO:   false,
		&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}: true,
		fmt.Errorf("journal: %w", syscall.EDQUOT):                  true,
	} {
		if diskspace.Full(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
