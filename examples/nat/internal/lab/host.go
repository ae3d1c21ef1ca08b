//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// A Host is a machine of a lab, a namespace.
type Host struct {
	Name  string
	space string // the namespace's name
	wire  *wire  // its network interface, or a NAT's towards the outside
}

// A wire connects a host to a segment.
type wire struct {
	space, dev string
	at         *Segment
	addrs      []netip.Prefix
}

// naming is held while a namespace gets or loses its name, and while all names
// are read: ip stumbles over one that is about to come or go.
var naming sync.Mutex

// spaces adds or deletes a namespace.
func spaces(what, name string) error {
	naming.Lock()
	defer naming.Unlock()
	return run("ip", "netns", what, name)
}

// host makes a namespace.
func (l *Lab) host(name string) (*Host, error) {
	h := &Host{Name: name, space: fmt.Sprintf("%d-%s", l.number, name)}
	if err := spaces("add", h.space); err != nil {
		return nil, err
	}
	l.hosts = append(l.hosts, h)
	return h, errors.Join(
		run("ip", "-n", h.space, "link", "set", "lo", "up"),
		// That nobody else has an address of IPv6 is known, and need not be waited for.
		h.set("net/ipv6/conf/default/accept_dad", "0"),
	)
}

// set sets one of the host's variables in /proc/sys.
func (h *Host) set(name, value string) error {
	return run("ip", "netns", "exec", h.space, "sh", "-c", "echo "+value+" > /proc/sys/"+name)
}

// A Segment is a network on which all hear each other, a LAN or the public one.
type Segment struct {
	host  *Host // the namespace with the bridge
	ports int
	gates []netip.Addr // of the router, on a LAN
	wires []*wire
	ways  []way
}

// A way leads from a segment to a LAN whose hosts have addresses of their own.
type way struct {
	net netip.Prefix
	via netip.Addr
}

// Segment makes a segment.
func (l *Lab) Segment(name string) (*Segment, error) {
	h, err := l.host(name)
	if err != nil {
		return nil, err
	}
	return &Segment{host: h}, errors.Join(
		run("ip", "-n", h.space, "link", "add", "bridge", "type", "bridge"),
		run("ip", "-n", h.space, "link", "set", "bridge", "up"),
	)
}

// Host makes a host on a segment. Each of its addresses, between which there are
// spaces, has the length of its network's prefix behind it, such as
// "192.168.1.2/24 3fff:1::2/64".
func (l *Lab) Host(name string, at *Segment, addrs string) (*Host, error) {
	h, err := l.host(name)
	if err != nil {
		return nil, err
	}
	h.wire, err = h.plug("eth0", at, addrs)
	if err != nil {
		return nil, err
	}
	return h, h.wire.route()
}

// plug lays a cable to a segment.
func (h *Host) plug(dev string, at *Segment, addrs string) (*wire, error) {
	at.ports++
	port := fmt.Sprintf("port%d", at.ports)
	w := &wire{space: h.space, dev: dev, at: at}
	at.wires = append(at.wires, w)
	return w, errors.Join(
		run("ip", "-n", h.space, "link", "add", dev, "type", "veth", "peer", "name", port, "netns", at.host.space),
		run("ip", "-n", at.host.space, "link", "set", port, "master", "bridge", "up"),
		run("ip", "-n", h.space, "link", "set", dev, "up"),
		w.number(addrs),
	)
}

// number gives the wire addresses.
func (w *wire) number(addrs string) error {
	w.addrs = nil
	for _, addr := range strings.Fields(addrs) {
		p, err := netip.ParsePrefix(addr)
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		w.addrs = append(w.addrs, p)
		if err := run("ip", "-n", w.space, "addr", "replace", addr, "dev", w.dev); err != nil {
			return err
		}
	}
	for _, to := range w.at.ways {
		if err := w.lead(to.net.String(), to.via); err != nil {
			return err
		}
	}
	return nil
}

// lead has what goes to a network take a way, if the wire has its protocol.
func (w *wire) lead(to string, via netip.Addr) error {
	for _, p := range w.addrs {
		if p.Contains(via) && p.Addr() != via { // not the router itself
			return run("ip", "-n", w.space, "route", "replace", to, "via", via.String())
		}
	}
	return nil
}

// route sends what is not for the segment to its router, if there is one.
func (w *wire) route() error {
	for _, gate := range w.at.gates {
		if err := w.lead("default", gate); err != nil {
			return err
		}
	}
	return nil
}

// Renumber gives a host other addresses, as when it joins another network of
// the same segment: its old ones are gone.
func (h *Host) Renumber(addrs string) error {
	return errors.Join(
		run("ip", "-n", h.space, "addr", "flush", "dev", h.wire.dev, "scope", "global"),
		h.wire.number(addrs),
		h.wire.route(),
	)
}

// Move takes a host to another segment, where it has other addresses.
func (h *Host) Move(to *Segment, addrs string) error {
	if err := run("ip", "-n", h.space, "link", "del", h.wire.dev); err != nil {
		return err
	}
	from := h.wire.at
	from.wires = slices.DeleteFunc(from.wires, func(w *wire) bool { return w == h.wire })
	var err error
	if h.wire, err = h.plug(h.wire.dev, to, addrs); err != nil {
		return err
	}
	return h.wire.route()
}

// Addrs returns the host's addresses.
func (h *Host) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, p := range h.wire.addrs {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// Command is exec.CommandContext for a program that runs on the host.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.space, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Sealed returns an error unless every interface of every namespace is one of
// the lab's own cables, both ends of which are in the lab.
func (l *Lab) Sealed() error {
	names := map[string]bool{}
	for _, h := range l.hosts {
		names[h.space] = true
	}
	naming.Lock()
	defer naming.Unlock()
	out, err := exec.Command("ip", "-o", "link").CombinedOutput()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if links := strings.Split(strings.TrimSpace(string(out)), "\n"); len(links) != 1 {
		return fmt.Errorf("lab: links outside of the hosts: %s", out)
	}
	for _, h := range l.hosts {
		out, err := exec.Command("ip", "-n", h.space, "-o", "link").CombinedOutput()
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		for _, link := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			fields := strings.Fields(link)
			dev := strings.TrimSuffix(fields[1], ":")
			_, peer, paired := strings.Cut(link, "link-netns ")
			switch {
			case dev == "lo", dev == "bridge":
			case !paired || !names[strings.Fields(peer)[0]]:
				return fmt.Errorf("lab: %s of %s leads out: %s", dev, h.Name, link)
			}
		}
	}
	return nil
}
