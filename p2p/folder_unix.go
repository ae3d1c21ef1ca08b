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
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return fmt.Sprintf("belongs to another user (%d)", stat.Uid), fmt.Sprintf("chown %d %s", os.Geteuid(), quoted)
	}
	mode := info.Mode().Perm()
	if mode&0o002 != 0 || mode&0o020 != 0 && !(ok && isPrivateGroup(stat.Uid, stat.Gid)) {
		return fmt.Sprintf("is open to changes by other users (mode %04o)", mode), "chmod go-w " + quoted
	}
	return "", ""
}
