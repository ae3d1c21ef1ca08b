//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A Mapping is a protocol in which hosts ask their router to let others in, at
// a port of its own.
type Mapping string

const (
	UPnP   Mapping = "upnp"   // Internet Gateway Device, over SSDP and SOAP
	NATPMP Mapping = "natpmp" // RFC 6886
)

// tables are where miniupnpd puts the ports that it opens, for nft.
const tables = `
table inet ports {
	chain opened {
	}
	chain translated {
	}
	chain returned {
	}
	chain through {
		type filter hook forward priority 10
		jump opened
	}
	chain inwards {
		type nat hook prerouting priority dstnat
		jump translated
	}
	chain outwards {
		type nat hook postrouting priority 90
		jump returned
	}
}
`

const settings = `
ext_ifname=wan
listening_ip=lan
http_port=5000
enable_upnp=%s
enable_natpmp=%s
secure_mode=yes
upnp_table_name=ports
upnp_nat_table_name=ports
upnp_forward_chain=opened
upnp_nat_chain=translated
upnp_nat_postrouting_chain=returned
notify_interval=60
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 192.168.0.0/16 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`

// OpenPorts has a router do what the hosts on its LAN ask in a protocol: it runs
// miniupnpd, as home routers do, with its files in dir. That wants an outer
// address that is not of a range reserved for whatever purpose: none of those that
// exist nowhere will do.
func (l *Lab) OpenPorts(router *Host, dir string, by Mapping) error {
	yes := map[bool]string{true: "yes", false: "no"}
	file := filepath.Join(dir, "miniupnpd.conf")
	text := fmt.Sprintf(settings, yes[by == UPnP], yes[by == NATPMP])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := feed(tables, "ip", "netns", "exec", router.space, "nft", "-f", "-"); err != nil {
		return err
	}
	if _, err := exec.LookPath("miniupnpd"); err != nil {
		return fmt.Errorf("%w: the program miniupnpd is missing (package miniupnpd-nftables)", ErrNone)
	}
	daemon := router.Command(context.Background(), "miniupnpd", "-d", "-f", file, "-P", filepath.Join(dir, "pid"))
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	l.daemons = append(l.daemons, daemon)
	return nil
}
