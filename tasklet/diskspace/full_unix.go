//go:build unix

package diskspace

import (
	"errors"
	"syscall"
)

// Full reports whether err says that a disk has no room for what was to be
// written, or that its user may write no more.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
