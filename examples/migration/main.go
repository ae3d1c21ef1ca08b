// Command migration runs the main job end to end: a running Go program crosses
// the network, twice, and nobody who talks to it can tell.
//
// It builds the program in the folder program for wasip1 with the stock
// toolchain and starts three peers as processes of their own, a, b and c, of
// which b and c know one address, a's. The program is started at a, sends
// numbers on a channel and receives from another all the time, is moved to b
// from outside, and moves on to c by itself.
//
// The exit status is 0 only if every number came once and in order and the
// program's own checksum is right.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dstackless/dstackless/tasklet"
)

func main() {
	tasklet.RunCompiler()
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "home":
		err = home(ctx, args[1])
	case len(args) == 2 && args[0] == "host":
		err = host(ctx, args[1])
	case len(args) == 0:
		err = direct(ctx)
	default:
		err = fmt.Errorf("usage: go run ./examples/migration")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// direct builds the program and starts the peers.
func direct(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "migration")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	wasm := filepath.Join(dir, "program.wasm")
	fmt.Println("building the program: GOOS=wasip1 GOARCH=wasm go build")
	build := exec.CommandContext(ctx, "go", "build", "-o", wasm, "github.com/dstackless/dstackless/examples/migration/program")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the program: %w", err)
	}

	a, err := start(ctx, "a", "home", wasm)
	if err != nil {
		return err
	}
	defer a.stop()
	addr := <-a.told
	b, err := start(ctx, "b", "host", addr)
	if err != nil {
		return err
	}
	defer b.stop()
	c, err := start(ctx, "c", "host", addr)
	if err != nil {
		return err
	}
	defer c.stop()
	fmt.Fprintln(a.in, <-b.told)
	fmt.Fprintln(a.in, <-c.told)
	if err := a.wait(); err != nil {
		return fmt.Errorf("peer a: %w", err)
	}
	return nil
}

// A process is one of the three peers.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	told   chan string // what it says for the others: lines that begin with >
	copied sync.WaitGroup
	once   sync.Once
	err    error
}

// start starts this program again, as a peer.
func start(ctx context.Context, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, args...), told: make(chan string, 1)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.copied.Go(func() {
		defer close(p.told)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if word, ok := strings.CutPrefix(lines.Text(), ">"); ok {
				p.told <- word
			} else {
				fmt.Printf("%s  %s\n", name, lines.Text())
			}
		}
	})
	fmt.Printf("%s  is process %d\n", name, p.cmd.Process.Pid)
	return p, nil
}

// wait waits until the process has ended.
func (p *process) wait() error {
	p.once.Do(func() {
		p.copied.Wait()
		p.err = p.cmd.Wait()
	})
	return p.err
}

// stop asks the process to end, by closing its standard input.
func (p *process) stop() {
	p.in.Close()
	p.wait()
}
