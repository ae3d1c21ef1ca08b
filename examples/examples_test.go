// Package examples_test runs the examples the way the README shows.
package examples_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build builds an example.
func build(t *testing.T, example string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "example")
	out, err := exec.Command("go", "build", "-o", file, "./"+example).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// serve starts a server and returns the address that it shows, and its output
// from there on.
func serve(ctx context.Context, t *testing.T, example string) (addr string, lines <-chan string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, build(t, example))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 100)
	go func() {
		defer close(all)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			all <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Cancel()
		for range all {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	for line := range all {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "go" {
			return fields[3], all
		}
	}
	t.Fatal("the server shows no address")
	return "", nil
}

// run runs a client to its end and returns what it prints.
func run(ctx context.Context, t *testing.T, example string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, build(t, example), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the client: %v: %s", err, out)
	}
	return string(out)
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestChannel(t *testing.T) {
	ctx := within(t, time.Minute)
	addr, lines := serve(ctx, t, "channel/server")
	run(ctx, t, "channel/client", addr, "one", "two", "three")
	for _, want := range []string{"one", "two", "three"} {
		if got := <-lines; got != want {
			t.Errorf("the server printed %q, want %q", got, want)
		}
	}
}

func TestTasklet(t *testing.T) {
	ctx := within(t, time.Minute)
	addr, _ := serve(ctx, t, "tasklet/server")
	out := run(ctx, t, "tasklet/client", addr)
	server := addr[strings.LastIndex(addr, "/")+1:]
	for _, want := range []string{"0 at ", "moving the tasklet to the server", " at " + server, "exit status 0"} {
		if !strings.Contains(out, want) {
			t.Errorf("the client did not print %q but\n%s", want, out)
		}
	}
	if strings.HasPrefix(out, "0 at "+server) {
		t.Errorf("the tasklet began at the server:\n%s", out)
	}
}

func TestMigration(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	out := run(ctx, t, "migration")
	if !strings.Contains(out, "each once, in order, none lost") || !strings.Contains(out, "checksum of its map, list and goroutines is right") {
		t.Errorf("it printed\n%s", out)
	}
}
