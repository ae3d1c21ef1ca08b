//go:build unix

package p2p

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// exposure says how users other than this one and root can change a folder, and
// the command that ends it; "" if they cannot.
func exposure(info fs.FileInfo, path string) (what, todo string) {
	quoted := "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return fmt.Sprintf("belongs to another user (%d)", stat.Uid), fmt.Sprintf("chown %d %s", os.Geteuid(), quoted)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Sprintf("is open to changes by other users (mode %04o)", mode), "chmod go-w " + quoted
	}
	return "", ""
}
