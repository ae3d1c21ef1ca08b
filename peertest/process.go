package peertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// ErrKilled is returned by what a process was asked for when it was killed, or
// ended by itself. What became of it, nobody knows.
var ErrKilled = errors.New("process is gone")

// ProcessOptions are the settings of a [Process]. The zero value is a peer that
// is the first of its network.
type ProcessOptions struct {
	// DataDir is the folder of the peer, in each of its lives. Default: one
	// that is removed when the test ends.
	DataDir string

	// Listen are the multiaddrs to listen on. Default: TCP on a free port of
	// loopback, which is the same in all lives.
	Listen []string

	// Bootstrap are full multiaddrs of peers to connect to at the start:
	// those of other processes, or of peers of a [Network]. Default: none.
	Bootstrap []string

	// Accept are the IDs of the peers whose tasklets may come. Default:
	// [dstackless.AcceptAny].
	Accept []string

	// Limits are what tasklets may use of the peer. Default: see there.
	Limits tasklet.Limits
}

// A Process is a peer in a process of its own, which can crash as a machine
// does: in the middle of anything, with nothing cleaned up, and with what it has
// written to its data folder. Make it with [StartProcess].
//
// It is a channel.Space: a test uses its channels as if they were its own. So
// the same test may be run with peers in one process and in many. Its methods
// may be called from several goroutines at once.
//
// A process ends with the process that runs the test, however that ends.
type Process struct {
	t      testing.TB
	config processConfig

	mu   sync.Mutex
	life *life
}

// processConfig is what a process is told when it starts.
type processConfig struct {
	DataDir   string
	Listen    []string
	Bootstrap []string
	Accept    []string
	Limits    tasklet.Limits
}

// processStart is what it answers.
type processStart struct {
	ID    string
	Addrs []string
}

// StartProcess starts a peer in a process of its own: the test's binary is
// executed again, whose TestMain must call [RunProcess]. The test's Cleanup
// closes the peer. That it does not start within 30 seconds is fatal to the
// test. Nil opts stand for the defaults.
func StartProcess(t testing.TB, opts *ProcessOptions) *Process {
	t.Helper()
	var o ProcessOptions
	if opts != nil {
		o = *opts
	}
	p := &Process{t: t, config: processConfig(o)}
	if p.config.DataDir == "" {
		p.config.DataDir = t.TempDir()
	}
	if p.config.Listen == nil {
		p.config.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if p.config.Accept == nil {
		p.config.Accept = []string{dstackless.AcceptAny}
	}
	t.Cleanup(p.Close)
	p.start()
	return p
}

func (p *Process) start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	l, err := begin()
	if err != nil {
		p.t.Fatalf("peertest: start a process: %v", err)
	}
	err = l.call(ctx, request{Do: "start", Set: &p.config}, &l.start)
	if err != nil {
		l.kill()
		p.t.Fatalf("peertest: start a process: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = l
	p.config.Listen = nil
	for _, addr := range l.start.Addrs { // the same ports in the next life
		if strings.Contains(addr, "/p2p-circuit") {
			continue // an address of its relay
		}
		listen, _, _ := strings.Cut(addr, "/p2p/")
		p.config.Listen = append(p.config.Listen, listen)
	}
}

func (p *Process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// ID returns the peer's ID, which is the same in all lives.
func (p *Process) ID() string { return p.current().start.ID }

// Addrs returns the full multiaddrs under which the peer can be reached.
func (p *Process) Addrs() []string { return p.current().start.Addrs }

// Kill ends the process in the middle of whatever it does (SIGKILL), and returns
// when it is gone. What it was asked for and has not answered returns
// [ErrKilled]. Killing a process that is gone does nothing.
func (p *Process) Kill() { p.current().kill() }

// Restart starts a new process with the same data folder, and so with the same
// key, at the same addresses, after [Process.Kill] or [Process.Close]; a process
// that runs is killed. Channels must be opened anew.
func (p *Process) Restart() {
	p.t.Helper()
	p.current().kill()
	p.start()
}

// Close closes the peer in good order, within 30 seconds, and ends its process.
// A process that is gone is left alone.
func (p *Process) Close() {
	p.t.Helper()
	l := p.current()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := l.call(ctx, request{Do: "end"}, nil); err != nil && !errors.Is(err, ErrKilled) {
		p.t.Errorf("peertest: close a process: %v", err)
	}
	l.kill()
}

// Connect connects the peer to the one at addr, a full multiaddr.
func (p *Process) Connect(ctx context.Context, addr string) error {
	return p.current().call(ctx, request{Do: "connect", Name: addr}, nil)
}

// Resident returns how many bytes of memory the process has that are real
// (VmRSS), after it has collected its garbage. The error is
// [errors.ErrUnsupported] on other systems than Linux.
func (p *Process) Resident() (int64, error) {
	l := p.current()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := l.call(ctx, request{Do: "collect"}, nil); err != nil {
		return 0, err
	}
	return memoryOf(l.cmd.Process.Pid, "VmRSS")
}

// PeakResident returns how many bytes of memory the process of the peer has had at
// most since it started, of those that are real (VmHWM). Processes that it started
// count for themselves. The error is [errors.ErrUnsupported] on other systems than
// Linux.
func (p *Process) PeakResident() (int64, error) {
	return memoryOf(p.current().cmd.Process.Pid, "VmHWM")
}

// Channels lists the channels that are open on the peer.
func (p *Process) Channels(ctx context.Context) ([]channel.Info, error) {
	var list []channel.Info
	err := p.current().call(ctx, request{Do: "channels"}, &list)
	return list, err
}

// A ProcessStop is a peer in another process that stands still at a step, or
// will.
type ProcessStop struct {
	life *life
	id   uint64
	step Step
}

// StopAt is [Network.StopAt] for the process. That there is no such step, or
// that the process is gone, is fatal to the test.
func (p *Process) StopAt(step Step) *ProcessStop {
	p.t.Helper()
	if !step.Frame.valid() {
		p.t.Fatalf("peertest: stop a process: there is no frame %q", step.Frame)
	}
	s := &ProcessStop{life: p.current(), step: step}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.life.call(ctx, request{Do: "stop", Step: &step}, &s.id); err != nil {
		p.t.Fatalf("peertest: stop a process: %v", err)
	}
	return s
}

// Wait waits until the peer stands at the step, or ctx ends.
func (s *ProcessStop) Wait(ctx context.Context) error {
	if err := s.life.call(ctx, request{Do: "stopped", Of: s.id}, nil); err != nil {
		return fmt.Errorf("peertest: peer did not come to %s (%v): %w", s.step.Frame, s.step.When, err)
	}
	return nil
}

// Go lets the peer go on, or pass if it has not come to the step yet.
func (s *ProcessStop) Go() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s.life.call(ctx, request{Do: "go", Of: s.id}, nil) // a process that is gone stands nowhere
}
