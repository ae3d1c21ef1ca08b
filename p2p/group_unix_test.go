//go:build unix

package p2p_test

import (
	"os/user"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

func TestOnlyMember(t *testing.T) {
	ada := user.User{Uid: "1000", Gid: "1000", Username: "ada"}
	root := user.User{Uid: "0", Gid: "0", Username: "root"}
	const users = "root:x:0:0:root:/root:/bin/sh\nsync:x:5:0:sync:/sbin:/bin/sync\nada:x:1000:1000:Ada:/home/ada:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"
	for _, tt := range []struct {
		name, groups, users string
		user                user.User
		want                bool
	}{
		{"a private group", "root:x:0:\nada:x:1000:\n", users, ada, true},
		{"the user is listed", "ada:x:1000:ada\n", users, ada, true},
		{"another is listed", "ada:x:1000:ada,bob\n", users, ada, false},
		{"a second line lists another", "ada:x:1000:\nada:x:1000:bob\n", users, ada, false},
		{"another has it as primary group", "ada:x:1000:\n", users + "eve:x:1002:1000::/home/eve:/bin/sh\n", ada, false},
		{"a group of all users", "staff:x:1000:\n", users, ada, false},
		{"no such group", "root:x:0:\n", users, ada, false},
		{"root", "root:x:0:\n", users, root, true},
		{"root, as wheel", "wheel:*:0:root\n", users, root, true},
		{"root, and another", "wheel:*:0:root,ada\n", users, root, false},
		{"a line too long to read", "ada:x:1000:\n" + strings.Repeat("x", 1<<17) + "\n", users, ada, false},
	} {
		if got := p2p.OnlyMember(&tt.user, strings.NewReader(tt.groups), strings.NewReader(tt.users)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
