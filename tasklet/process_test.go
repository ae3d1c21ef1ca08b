package tasklet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/compiler"
)

// beProcess is the environment variable that makes the test binary a peer, with
// the settings that it holds.
const beProcess = "DSTACKLESS_TEST_PROCESS"

// processSettings are what a peer in a process of its own is told at its start.
type processSettings struct {
	Dir    string // for its key and programs
	Data   string // for its records, if it has any
	Cache  string
	Listen []string
	Stop   string // step of a move at which it stands still, until it may pass; "step 4": when that comes for the fourth time
	Checks time.Duration
	Idle   int64  // bytes of programs in memory that nobody uses
	Folder int64  // bytes in the folder of compiled code
	Held   uint64 // bytes held for one other peer
}

// A request is one line on a process's standard input, and an answer one line
// on its standard output. An answer without number tells of a step.
type request struct {
	N    int
	Do   string
	Args []string
}

type answer struct {
	N     int
	Step  string
	Value string
	Info  *tasklet.Info
	Error string
}

// serveProcess is the main function of a peer in a process of its own.
func serveProcess() int {
	var s processSettings
	if err := json.Unmarshal([]byte(os.Getenv(beProcess)), &s); err != nil {
		panic(err)
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		out.Encode(a)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := &tasklet.Options{
		DataDir: s.Data, CacheDir: s.Cache, Functions: functions, AcceptAny: true, Checkpoint: s.Checks, Logger: log,
		Limits: tasklet.Limits{Continuations: s.Held},
	}
	tasklet.LimitCompiler(o, compiler.Options{IdleBytes: s.Idle, FolderBytes: s.Folder})
	p, err := newPeer(s.Dir, s.Listen, o)
	if err != nil {
		say(answer{Error: err.Error()})
		return 1
	}
	stop, nth, _ := strings.Cut(s.Stop, " ")
	left, _ := strconv.Atoi(nth)
	pass := make(chan struct{})
	p.OnStep(func(step string) {
		if step == stop {
			left--
		}
		if step != stop || left > 0 {
			say(answer{Step: step})
		} else {
			say(answer{Step: s.Stop})
			<-pass
		}
	})
	say(answer{Value: p.node.Addrs()[0]})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		if r.Do == "pass" {
			close(pass)
			say(answer{N: r.N})
			continue
		}
		go func() {
			value, info, err := p.do(r.Do, r.Args)
			a := answer{N: r.N, Value: value, Info: info}
			if err != nil {
				a.Error = err.Error()
			}
			say(a)
		}()
	}
	p.close()
	return 0
}

// do does what a request says.
func (p *peer) do(what string, args []string) (string, *tasklet.Info, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch what {
	case "connect":
		_, err := p.node.Connect(ctx, args[0])
		return "", nil, err
	case "spawn":
		wasm, err := os.ReadFile(args[0])
		if err != nil {
			return "", nil, err
		}
		t, err := p.Spawn(ctx, wasm, args[1:]...)
		if err != nil {
			return "", nil, err
		}
		return string(t.ID()), nil, nil
	}
	if what == "go" {
		t, err := p.Go(ctx, prints(0))
		if err != nil {
			return "", nil, err
		}
		return string(t.ID()), nil, nil
	}
	if what == "rest" {
		t, err := p.Go(ctx, rests(quota{channel.Name(args[0]), 10}))
		if err != nil {
			return "", nil, err
		}
		return string(t.ID()), nil, nil
	}
	t, err := p.Find(args[0])
	if err != nil {
		return "", nil, err
	}
	switch what {
	case "resting":
		return fmt.Sprint(p.Parked()), nil, nil
	case "hold":
		p.Hold(t.ID())
	case "move":
		err = t.Move(ctx, args[1])
	case "decide":
		err = t.Decide(ctx, args[1] == "run")
	case "suspend":
		err = t.Suspend(ctx)
	case "resume":
		err = t.Resume(ctx)
	case "checkpoint":
		err = t.Checkpoint(ctx)
	case "info":
		i, err := t.Info(ctx)
		return "", &i, err
	case "live":
		return fmt.Sprint(p.Live(t.ID())), nil, nil
	case "output":
		r, err := t.Output(ctx, false)
		if err != nil {
			return "", nil, err
		}
		text, err := io.ReadAll(r)
		return string(text), nil, err
	default:
		err = fmt.Errorf("no %q", what)
	}
	return "", nil, err
}

// A process is a peer in a process of its own, which can be killed and started
// again.
type process struct {
	t        *testing.T
	settings processSettings
	addr, id string
	cmd      *exec.Cmd
	in       io.WriteCloser
	log      *os.File
	steps    chan string
	over     chan struct{}

	mu      sync.Mutex
	next    int
	pending map[int]chan answer
}

// startProcess starts a peer in a process, with or without a disk.
func startProcess(t *testing.T, disk bool, stop string) *process {
	t.Helper()
	return startProcessAt(t, t.TempDir(), disk, stop)
}

// startProcessAt is startProcess with a folder of the caller's.
func startProcessAt(t *testing.T, dir string, disk bool, stop string) *process {
	t.Helper()
	p := &process{t: t, settings: processSettings{Dir: dir, Cache: cache, Listen: tcp, Stop: stop}}
	if disk {
		p.settings.Data = dir
	}
	p.log = must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), "log")))
	t.Cleanup(func() {
		p.kill()
		p.log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(p.log.Name())
			t.Logf("peer %s:\n%s", p.id, text)
		}
	})
	p.start()
	return p
}

// raceDetector says that it is on.
var raceDetector bool

// executable returns what is executed in a process: this binary or, because the
// race detector makes loading a program take a second, and nobody would see what
// it finds in a process that is killed, the same one without it.
var executable = sync.OnceValues(func() (string, error) {
	if !raceDetector {
		return os.Executable()
	}
	file := filepath.Join(cache, "peer.test")
	if out, err := exec.Command("go", "test", "-c", "-race=false", "-o", file, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c: %w\n%s", err, out)
	}
	return file, nil
})

// start starts the peer, the second time where it was, unless somebody else has
// got that port meanwhile.
func (p *process) start() {
	p.t.Helper()
	err := p.tryStart()
	if err != nil && strings.Contains(err.Error(), "address already in use") {
		p.settings.Listen = tcp
		err = p.tryStart()
	}
	if err != nil {
		p.t.Fatalf("a peer did not start: %v", err)
	}
}

func (p *process) tryStart() error {
	p.cmd = exec.Command(must[string](p.t)(executable()))
	p.cmd.Env = append(os.Environ(), beProcess+"="+string(must[[]byte](p.t)(json.Marshal(p.settings))))
	p.cmd.Stderr = p.log
	p.in = must[io.WriteCloser](p.t)(p.cmd.StdinPipe())
	out := must[io.ReadCloser](p.t)(p.cmd.StdoutPipe())
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.pending, p.steps, p.over = map[int]chan answer{}, make(chan string, 1<<16), make(chan struct{})
	answers := json.NewDecoder(out)
	var hello answer
	if err := answers.Decode(&hello); err != nil || hello.Error != "" {
		close(p.over)
		p.kill()
		return errors.Join(err, errors.New(hello.Error))
	}
	p.addr = hello.Value
	p.id = p.addr[strings.LastIndex(p.addr, "/")+1:]
	p.settings.Listen = []string{p.addr[:strings.Index(p.addr, "/p2p/")]}
	go func() {
		defer close(p.over)
		for {
			var a answer
			if answers.Decode(&a) != nil {
				return
			}
			if a.N == 0 {
				p.steps <- a.Step
				continue
			}
			p.mu.Lock()
			c := p.pending[a.N]
			delete(p.pending, a.N)
			p.mu.Unlock()
			c <- a
		}
	}()
	return nil
}

// kill kills the peer with SIGKILL.
func (p *process) kill() {
	if p.cmd.Process != nil && p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		<-p.over
		p.cmd.Wait()
	}
}

// finish ends the peer in good order.
func (p *process) finish() {
	p.t.Helper()
	p.in.Close()
	<-p.over
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("a peer ended badly: %v", err)
	}
}

// begin sends a request. The channel gets the answer, or none if the peer is
// killed.
func (p *process) begin(do string, args ...string) <-chan answer {
	p.t.Helper()
	p.mu.Lock()
	p.next++
	c := make(chan answer, 1)
	p.pending[p.next] = c
	line, _ := json.Marshal(request{p.next, do, args})
	p.mu.Unlock()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// ask sends a request and returns the answer.
func (p *process) ask(ctx context.Context, do string, args ...string) (answer, error) {
	p.t.Helper()
	select {
	case a := <-p.begin(do, args...):
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-p.over:
		return answer{}, errors.New("the peer is gone")
	case <-ctx.Done():
		p.t.Fatalf("%s %v: %v", do, args, ctx.Err())
		return answer{}, nil
	}
}

// reaches waits until the peer has reached a step of a move, which must not be
// over before.
func (p *process) reaches(ctx context.Context, step string, over <-chan answer) {
	p.t.Helper()
	for {
		select {
		case s := <-p.steps:
			if s == step {
				return
			}
		case a := <-over:
			p.t.Fatalf("%s was not reached before the end: %+v", step, a)
		case <-ctx.Done():
			p.t.Fatalf("%s was not reached", step)
		}
	}
}

// live reports whether the tasklet runs at the peer.
func (p *process) live(ctx context.Context, id string) bool {
	p.t.Helper()
	a, err := p.ask(ctx, "live", id)
	return err == nil && a.Value == "true"
}

// eventually waits until f returns true.
func eventually(ctx context.Context, t testing.TB, what string, f func() bool) {
	t.Helper()
	for !f() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("it never came: %s", what)
		}
	}
}

// connect connects a process to another, as often as it takes.
func (p *process) connect(ctx context.Context, to *process) {
	p.t.Helper()
	eventually(ctx, p.t, "a connection", func() bool {
		_, err := p.ask(ctx, "connect", to.addr)
		return err == nil
	})
}

// counted wants the output of the program plain, without a gap or a repetition,
// to have more than so many lines, and returns how many.
func (p *process) counted(ctx context.Context, id string, more int) (lines int) {
	p.t.Helper()
	eventually(ctx, p.t, fmt.Sprintf("more than %d lines", more), func() bool {
		a, err := p.ask(ctx, "output", id)
		if err != nil {
			p.t.Fatal(err)
		}
		text := strings.Split(strings.TrimSuffix(a.Value, "\n"), "\n")
		for n, line := range text {
			if n == len(text)-1 && !strings.HasSuffix(a.Value, "\n") {
				break
			}
			if line != fmt.Sprint(n) && line != "" {
				p.t.Fatalf("line %d is %q", n, line)
			}
		}
		lines = len(text)
		return lines > more
	})
	return lines
}

// programFile returns a file that a program is in.
func programFile(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(file, build(t, name), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}
