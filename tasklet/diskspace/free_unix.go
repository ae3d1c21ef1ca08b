//go:build linux || darwin || freebsd

package diskspace

import "golang.org/x/sys/unix"

// free returns what users who are not root may still write.
func free(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(max(s.Bavail, 0)) * uint64(s.Bsize), nil
}
