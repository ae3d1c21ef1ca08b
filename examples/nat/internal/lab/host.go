//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
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
	addr       netip.Prefix
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
	return h, run("ip", "-n", h.space, "link", "set", "lo", "up")
}

// A Segment is a network on which all hear each other, a LAN or the public one.
type Segment struct {
	host  *Host // the namespace with the bridge
	ports int
	gate  netip.Addr // of the NAT, on a LAN
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

// Host makes a host on a segment. The address has the length of its network's
// prefix behind it, such as 192.168.1.2/24.
func (l *Lab) Host(name string, at *Segment, addr string) (*Host, error) {
	h, err := l.host(name)
	if err != nil {
		return nil, err
	}
	h.wire, err = h.plug("eth0", at, addr)
	if err != nil {
		return nil, err
	}
	return h, h.wire.route()
}

// plug lays a cable to a segment.
func (h *Host) plug(dev string, at *Segment, addr string) (*wire, error) {
	p, err := netip.ParsePrefix(addr)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	at.ports++
	port := fmt.Sprintf("port%d", at.ports)
	return &wire{h.space, dev, at, p}, errors.Join(
		run("ip", "-n", h.space, "link", "add", dev, "type", "veth", "peer", "name", port, "netns", at.host.space),
		run("ip", "-n", at.host.space, "link", "set", port, "master", "bridge", "up"),
		run("ip", "-n", h.space, "addr", "add", addr, "dev", dev),
		run("ip", "-n", h.space, "link", "set", dev, "up"),
	)
}

// route sends what is not for the segment to its NAT, if there is one.
func (w *wire) route() error {
	if !w.at.gate.IsValid() {
		return nil
	}
	return run("ip", "-n", w.space, "route", "add", "default", "via", w.at.gate.String())
}

// Renumber gives a host another address, as when it joins another network of
// the same segment: its old one is gone.
func (h *Host) Renumber(addr string) error {
	p, err := netip.ParsePrefix(addr)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	h.wire.addr = p
	return errors.Join(
		run("ip", "-n", h.space, "addr", "flush", "dev", h.wire.dev, "scope", "global"),
		run("ip", "-n", h.space, "addr", "add", addr, "dev", h.wire.dev),
		h.wire.route(),
	)
}

// Cable pulls the cable of a host's interface, or plugs it in again.
func (h *Host) Cable(in bool) error {
	if !in {
		return run("ip", "-n", h.space, "link", "set", h.wire.dev, "down")
	}
	return errors.Join(run("ip", "-n", h.space, "link", "set", h.wire.dev, "up"), h.wire.route())
}

// Addr returns the host's address.
func (h *Host) Addr() string { return h.wire.addr.Addr().String() }

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
