//go:build linux

// Package lab builds networks inside one Linux machine: hosts, LANs and NATs
// made of network namespaces, in which real programs run.
//
// Nothing leaves a lab: every cable is laid between two of its namespaces, and
// none of them has a way out. Nothing is left of it either: the program that
// builds one runs in namespaces of its own, see [Enter], and when it ends, by
// whatever cause, the kernel ends all that it started and takes the networks
// down.
//
// It needs root, or a kernel that lets others make user namespaces; ip; nft for
// NATs, and miniupnpd for those that open ports.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// mark is the first argument of a program that [Enter] started anew.
const mark = "in-the-lab"

// ErrNone says that this machine cannot make a lab, and what it lacks.
var ErrNone = errors.New("no lab can be made here")

// Inside reports whether this program runs in namespaces of its own, and
// returns what its first half passed to [Enter].
func Inside() (passed string, inside bool) {
	return strings.CutPrefix(os.Args[0], mark+" ")
}

// Enter runs this program once more, with the same arguments, in namespaces of
// its own, and returns its exit status. What is passed is what [Inside] returns
// there. If no such program can be made, the error wraps [ErrNone].
func Enter(passed string) (status int, err error) {
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, fmt.Errorf("%w: the program %s is missing (packages iproute2 and nftables)", ErrNone, tool)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNone, err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = mark + " " + passed
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, // and with the first of a PID namespace all others die
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: namespaces are refused (run as root, or allow user namespaces): %w", ErrNone, err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// A Lab is a network of its own. Make one, inside, with [New]. Labs of one
// program do not know of each other, and may be used at the same time.
type Lab struct {
	number  int // tells the names of its namespaces from those of other labs
	hosts   []*Host
	daemons []*exec.Cmd
}

// Close takes the lab's namespaces down. What still runs in them ends with this
// program, but for routers' daemons.
func (l *Lab) Close() error {
	var errs []error
	for _, d := range l.daemons {
		d.Process.Kill()
		d.Wait()
	}
	for _, h := range l.hosts {
		errs = append(errs, spaces("del", h.space))
	}
	return errors.Join(errs...)
}

// labs counts the labs of this program.
var labs atomic.Int64

// New makes an empty lab in the namespaces that [Enter] made.
func New() (*Lab, error) {
	if _, inside := Inside(); !inside {
		return nil, errors.New("lab: not inside")
	}
	if err := ground(); err != nil {
		return nil, err
	}
	return &Lab{number: int(labs.Add(1))}, nil
}

// ground prepares, once, what all labs stand on.
var ground = sync.OnceValue(func() error {
	for _, m := range []struct {
		source, target, fs string
		flags              uintptr
	}{
		// What is mounted from here on is seen in here alone.
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		// ip keeps the names of namespaces in /run/netns.
		{"lab", "/run", "tmpfs", 0},
		{"proc", "/proc", "proc", 0},
	} {
		if err := syscall.Mount(m.source, m.target, m.fs, m.flags, ""); err != nil {
			return fmt.Errorf("%w: mount %s: %w", ErrNone, m.target, err)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return run("ip", "link", "set", "lo", "up")
})

// run runs a command to its end.
func run(name string, args ...string) error {
	return feed("", name, args...)
}

// feed runs a command with an input.
func feed(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("lab: %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
