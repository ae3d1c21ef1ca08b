package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

var repetitions = flag.Int("repetitions", 20, "how often TestSignalsAtOnce ends a peer")

// A runningPeer is "dspeer run" as a process of its own.
type runningPeer struct {
	dir    string
	cmd    *exec.Cmd
	client *control.Client
	ended  chan struct{}
	err    error // of Wait; set before ended is closed

	mu  sync.Mutex
	log bytes.Buffer
}

// Write implements io.Writer: it takes the log.
func (p *runningPeer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *runningPeer) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// runPeer starts "dspeer run" on dir and waits until it answers. Shell, if there is
// one, is a command of sh that runs before it in the same process. Output is where
// standard output and standard error go; nil keeps them.
func runPeer(t *testing.T, dir, shell string, output *os.File) *runningPeer {
	t.Helper()
	p := &runningPeer{dir: dir, client: control.NewClient(dir), ended: make(chan struct{})}
	args := []string{"dspeer", "run", "--data", dir, "--listen", "/ip4/127.0.0.1/tcp/0"}
	if shell != "" {
		args = append([]string{"sh", "-c", shell + `; exec "$@"`, "sh"}, args...)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = io.Discard, p
	if output != nil {
		p.cmd.Stdout, p.cmd.Stderr = output, output
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.client.Close()
		p.cmd.Process.Kill()
		<-p.ended
	})
	p.answers(t)
	return p
}

// answers waits until the peer answers.
func (p *runningPeer) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := p.client.Self(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("the peer has ended: %v\n%s", p.err, p.logged())
		case <-ctx.Done():
			t.Fatalf("the peer does not answer: %v\n%s", err, p.logged())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *runningPeer) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for the end of the process.
func (p *runningPeer) end(t *testing.T) error {
	t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		t.Fatalf("the peer does not end:\n%s", p.logged())
		return nil
	}
}

func needsSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs the signals of Unix")
	}
}

// Whatever asks a peer to end lets it suspend its tasklets, also when it is asked
// twice at once.
func TestSignalsAtOnce(t *testing.T) {
	needsSignals(t)
	wasm := filepath.Join(t.TempDir(), "tick.wasm")
	build := exec.Command("go", "build", "-o", wasm, ".")
	build.Dir = "testdata/prog/tick"
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	module, err := os.ReadFile(wasm)
	if err != nil {
		t.Fatal(err)
	}

	dir := filepath.Join(t.TempDir(), "a")
	p := runPeer(t, dir, "", nil)
	ticks, err := p.client.Spawn(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	var out string
	kinds := []os.Signal{syscall.SIGTERM, syscall.SIGHUP, os.Interrupt}
	for n := range *repetitions {
		out = p.writes(t, ticks.ID, out)
		p.signal(t, kinds[n%len(kinds)])
		p.signal(t, kinds[n%len(kinds)])
		if err := p.end(t); err != nil || !strings.Contains(p.logged(), "tasklet suspended") {
			t.Fatalf("run %d, two of %v: %v, and the log is:\n%s", n, kinds[n%len(kinds)], err, p.logged())
		}
		p = runPeer(t, dir, "", nil)
	}
	out = p.writes(t, ticks.ID, out)
	for n, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if line != fmt.Sprint("tick ", n+1) {
			t.Fatalf("line %d is %q", n+1, line)
		}
	}
}

// writes waits until a tasklet has written more than before, and returns it all.
func (p *runningPeer) writes(t *testing.T, id tasklet.ID, before string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var out strings.Builder
		switch err := p.client.Output(t.Context(), string(id), false, &out); {
		case err != nil:
			t.Fatal(err)
		case len(out.String()) > len(before):
			return out.String()
		case time.Now().After(deadline):
			t.Fatalf("the tasklet writes nothing after %q", before)
		}
	}
}

// Who is asked to end and takes long ends at once when asked again later.
func TestSecondSignal(t *testing.T) {
	needsSignals(t)
	p := runPeer(t, filepath.Join(t.TempDir(), "a"), "", nil)
	// A request that does not get on holds up the end.
	conn, err := net.Dial("unix", filepath.Join(p.dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/spawn HTTP/1.1\r\nHost: dspeer\r\nContent-Length: 100\r\n\r\n")
	p.answers(t)

	first := time.Now()
	for ended := false; !ended; {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			ended = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	var status *exec.ExitError
	if !errors.As(p.err, &status) || status.ExitCode() != exitInterrupted {
		t.Errorf("it ended with %v", p.err)
	}
	if took := time.Since(first); took < secondSignal {
		t.Errorf("it ended after %v", took)
	}
	if log := p.logged(); strings.Count(log, "ended at once by a second signal") != 1 {
		t.Errorf("the log is:\n%s", log)
	}
}

// What was ignored when the peer was started stays ignored: nohup, and what a
// shell runs in the background.
func TestIgnoredSignals(t *testing.T) {
	needsSignals(t)
	p := runPeer(t, filepath.Join(t.TempDir(), "a"), `trap "" INT HUP`, nil)
	p.signal(t, os.Interrupt)
	p.signal(t, syscall.SIGHUP)
	for range 20 {
		p.answers(t)
	}
	p.signal(t, syscall.SIGTERM)
	if err := p.end(t); err != nil || strings.Count(p.logged(), "stopping") != 1 || !strings.Contains(p.logged(), "signal=terminated") {
		t.Errorf("it ended with %v, and the log is:\n%s", err, p.logged())
	}
}

// A peer whose log nobody takes any more goes on.
func TestLogGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := runPeer(t, filepath.Join(t.TempDir(), "a"), "", w)
	w.Close()
	r.Close()
	p.leaves(t, 3)
	p.answers(t)
	p.signal(t, os.Interrupt)
	if err := p.end(t); err != nil {
		t.Error(err)
	}
}

// A peer whose log is held, as by a pager, goes on.
func TestLogHeld(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := runPeer(t, filepath.Join(t.TempDir(), "a"), "", w)
	fill(w)
	p.leaves(t, 10)
	p.answers(t)
	p.signal(t, os.Interrupt)
	if err := p.end(t); err != nil {
		t.Error(err)
	}
}

// fill writes to a pipe until it takes no more.
func fill(w *os.File) {
	var written atomic.Int64
	go func() {
		defer w.Close()
		for { // until nobody can read it any more
			if _, err := w.Write([]byte{'.'}); err != nil {
				return
			}
			written.Add(1)
		}
	}()
	for last := int64(-1); last != written.Load(); time.Sleep(100 * time.Millisecond) {
		last = written.Load()
	}
}

// leaves has the peer log that many lines: of messages that were received and not
// confirmed.
func (p *runningPeer) leaves(t *testing.T, lines int) {
	t.Helper()
	out, err := p.client.Channel(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	sent := make(chan error, 1)
	go func() { sent <- out.Send(t.Context(), []byte("left")) }()
	for range lines {
		in, err := p.client.Channel(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		if v, err := in.Receive(t.Context()); err != nil || string(v) != "left" {
			t.Fatalf("received %q, %v", v, err)
		}
		in.Close()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// An interrupt ends a command also when the peer is stopped.
func TestInterruptWithStoppedPeer(t *testing.T) {
	needsSignals(t)
	p := runPeer(t, filepath.Join(t.TempDir(), "a"), "", nil)
	for _, c := range []struct {
		args   []string
		early  bool // it begins before the peer is stopped
		status int
	}{
		{[]string{"recv", "early"}, true, 0},
		{[]string{"recv", "-n", "1", "early"}, true, exitInterrupted},
		{[]string{"send", "sent", "hello"}, true, exitInterrupted},
		{[]string{"recv", "late"}, false, exitInterrupted},
		{[]string{"send", "late", "hello"}, false, exitInterrupted},
		{[]string{"id"}, false, exitInterrupted},
	} {
		t.Run(fmt.Sprint(c.args, c.early), func(t *testing.T) {
			// Nothing tells when a command waits for a peer that is stopped. One that
			// the signal finds too early is killed by it, and run again.
			status := -1
			for wait := 50 * time.Millisecond; status == -1 && wait < patience; wait *= 2 {
				status = p.interrupt(t, c.args, c.early, wait)
			}
			if status != c.status {
				t.Errorf("status is %d, want %d", status, c.status)
			}
		})
	}
}

// interrupt runs a command, stops the peer, interrupts the command after wait, and
// returns its exit status.
func (p *runningPeer) interrupt(t *testing.T, args []string, early bool, wait time.Duration) int {
	t.Helper()
	cmd := exec.Command("dspeer", append(args, "--data", p.dir)...)
	if !early {
		p.signal(t, sigStop)
	}
	defer p.signal(t, sigContinue)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(10*time.Second, func() {
		t.Error("the command does not end")
		cmd.Process.Kill()
	}).Stop()
	if early {
		p.waits(t)
		p.signal(t, sigStop)
	} else {
		time.Sleep(wait)
	}
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// waits waits until an operation of the peer waits on a channel.
func (p *runningPeer) waits(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		list, err := p.client.Channels(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Sends+c.Receives > 0 {
				return
			}
		}
	}
	t.Fatal("nothing waits on a channel")
}
