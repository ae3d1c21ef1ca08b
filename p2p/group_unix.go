//go:build unix

package p2p

import (
	"bufio"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// isPrivateGroup reports whether the group has only one member, the user, as is
// usual where the umask is 002: it is the user's primary group, has the user's
// name, and neither /etc/group nor /etc/passwd has anybody else in it. Root's
// group 0, which some accounts of the system have as their primary group, needs
// only to be empty in /etc/group. Where this cannot be learned it is false.
func isPrivateGroup(uid, gid uint32) bool {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil || u.Gid != strconv.Itoa(int(gid)) {
		return false
	}
	groups, err := os.Open("/etc/group")
	if err != nil {
		return false
	}
	defer groups.Close()
	users, err := os.Open("/etc/passwd")
	if err != nil {
		return false
	}
	defer users.Close()
	return onlyMember(u, groups, users)
}

// onlyMember reports whether u is alone in its primary group, as the contents of
// /etc/group and /etc/passwd tell.
func onlyMember(u *user.User, groups, users io.Reader) bool {
	const groupID, members, userID, primary = 2, 3, 2, 3 // fields
	superuser := u.Uid == "0" && u.Gid == "0"
	found := false
	ok := eachRecord(groups, 4, func(f []string) bool {
		if f[groupID] != u.Gid {
			return true
		}
		found = true
		return (superuser || f[0] == u.Username) && !slices.ContainsFunc(strings.Split(f[members], ","), func(name string) bool {
			return name != "" && name != u.Username
		})
	})
	if !ok || !found || superuser {
		return ok && found
	}
	return eachRecord(users, 7, func(f []string) bool { return f[primary] != u.Gid || f[userID] == u.Uid })
}

// eachRecord calls f with the fields of each line until it returns false. It
// reports whether all was read. Lines with other numbers of fields are left out.
func eachRecord(r io.Reader, fields int, f func(fields []string) bool) bool {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if record := strings.Split(lines.Text(), ":"); len(record) == fields && !f(record) {
			return false
		}
	}
	return lines.Err() == nil
}
