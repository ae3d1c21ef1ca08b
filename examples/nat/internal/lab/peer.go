//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Peer is a dspeer that runs on a host.
type Peer struct {
	Host *Host
	ID   string

	dspeer string // the program
	data   string // the data folder
	args   []string
	cmd    *exec.Cmd
	done   chan struct{} // closed when cmd has ended
	log    *log
}

// log keeps what a peer logs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed, and replaced, when there is more
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

// StartPeer runs "dspeer run" on a host, with a data folder named after it in
// dir, and waits until it can be talked to.
func StartPeer(ctx context.Context, dspeer, dir string, h *Host, args ...string) (*Peer, error) {
	p := &Peer{
		Host: h, dspeer: dspeer, data: filepath.Join(dir, h.Name), args: args,
		log: &log{more: make(chan struct{})},
	}
	return p, p.Start(ctx)
}

// Start runs the peer, after Kill or Stop again, and waits until it can be
// talked to.
func (p *Peer) Start(ctx context.Context) error {
	args := append([]string{"run", "--data", p.data}, p.args...)
	p.cmd = p.Host.Command(context.Background(), p.dspeer, args...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan struct{})
	first := make(chan string, 1)
	go func() {
		defer close(p.done)
		line := make([]byte, 256)
		n, _ := out.Read(line) // it prints all at once, the ID first
		first <- string(line[:n])
		io.Copy(io.Discard, out)
		p.cmd.Wait()
	}()
	select {
	case line := <-first:
		p.ID, _, _ = strings.Cut(line, "\n")
	case <-ctx.Done():
		p.Kill()
	}
	if p.ID == "" {
		return fmt.Errorf("lab: the peer on %s does not start: %s", p.Host.Name, p.Log())
	}
	return nil
}

// Kill ends the peer as a crash would.
func (p *Peer) Kill() { p.end(syscall.SIGKILL) }

// Stop ends the peer in good order.
func (p *Peer) Stop() { p.end(syscall.SIGTERM) }

func (p *Peer) end(s syscall.Signal) {
	p.cmd.Process.Signal(s)
	<-p.done
}

// Log returns what the peer has logged.
func (p *Peer) Log() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.log.text.String()
}

// AwaitLog waits until the peer has logged text.
func (p *Peer) AwaitLog(ctx context.Context, text string) error {
	for {
		p.log.mu.Lock()
		more := p.log.more
		found := strings.Contains(p.log.text.String(), text)
		p.log.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("lab: the peer on %s has not logged %q", p.Host.Name, text)
		}
	}
}

// Dspeer runs another dspeer command, which talks to the peer over its socket,
// and returns what it prints.
func (p *Peer) Dspeer(ctx context.Context, args ...string) (string, error) {
	return p.Feed(ctx, "", args...)
}

// Feed is Dspeer for a command that reads its input.
func (p *Peer) Feed(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.dspeer, append(args, "--data", p.data)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("on %s: dspeer %s: %w: %s", p.Host.Name, strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// Addr returns the peer's address at its host with this in it, such as "/udp/".
func (p *Peer) Addr(ctx context.Context, part string) (string, error) {
	out, err := p.Dspeer(ctx, "addrs")
	if err != nil {
		return "", err
	}
	for _, a := range strings.Fields(out) {
		for _, ip := range p.Host.Addrs() {
			if strings.Contains(a, part) && strings.Contains(a, "/"+ip.String()+"/") {
				return a, nil
			}
		}
	}
	return "", fmt.Errorf("lab: the peer on %s has no address with %s in it: %s", p.Host.Name, part, out)
}

// A Path is how one peer is connected to another, as "dspeer peers" tells.
type Path struct {
	ID, Addr, Transport, Relay string
	Relayed, Punched           bool
	RoundTrip                  time.Duration `json:"round_trip"`
}

// PathTo tells how the peer is connected to another, or returns nil.
func (p *Peer) PathTo(ctx context.Context, other *Peer) (*Path, error) {
	out, err := p.Dspeer(ctx, "peers", "--json")
	if err != nil {
		return nil, err
	}
	var paths []Path
	if err := json.Unmarshal([]byte(out), &paths); err != nil {
		return nil, err
	}
	for _, path := range paths {
		if path.ID == other.ID {
			return &path, nil
		}
	}
	return nil, nil
}

// AwaitPath waits until the peer is connected to another in a way that is good.
func (p *Peer) AwaitPath(ctx context.Context, other *Peer, good func(*Path) bool) (*Path, error) {
	for {
		path, err := p.PathTo(ctx, other)
		if err == nil && path != nil && good(path) {
			return path, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(err, fmt.Errorf("lab: %s is not so connected to %s, but %+v", p.Host.Name, other.Host.Name, path))
		}
	}
}

// NewKey returns a key for a private network, which dspeer, a program, makes.
func NewKey(ctx context.Context, dspeer string) (string, error) {
	out, err := exec.CommandContext(ctx, dspeer, "key").Output()
	return string(out), err
}

// Build compiles dspeer and, for tasklets, a program of this module into dir.
func Build(ctx context.Context, dir, module string, programs ...string) error {
	build := func(out, what string, env ...string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, out), what)
		cmd.Env = append(os.Environ(), env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", what, err, text)
		}
		return nil
	}
	if err := build("dspeer", module+"/cmd/dspeer"); err != nil {
		return err
	}
	for _, p := range programs {
		if err := build(filepath.Base(p)+".wasm", p, "GOOS=wasip1", "GOARCH=wasm"); err != nil {
			return err
		}
	}
	return nil
}
