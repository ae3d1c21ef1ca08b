package diskspace

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Full reports whether err says that a disk has no room for what was to be
// written, or that its user may write no more.
func Full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
