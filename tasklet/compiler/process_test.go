package compiler_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/compiler"
)

// What tells the test binary to be something else.
const (
	uncalled = "DSTACKLESS_TEST_UNCALLED" // not to call RunChild
	parent   = "DSTACKLESS_TEST_PARENT"   // to compile, in that folder, what is there as small.wasm
)

// beParent compiles a program that a peer brings, and says how.
func beParent(dir string) {
	wasm, err := os.ReadFile(filepath.Join(dir, "small.wasm"))
	if err == nil {
		l := &log{}
		c := compiler.New(&compiler.Options{Logger: l.logger()})
		_, err = c.Get(context.Background(), "small", "alice", returning(wasm))
		os.Stdout.Write(l.b.Bytes())
	}
	fmt.Println("error:", err)
	os.Exit(0)
}

// asParent returns a command that does so, once more.
func asParent(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small.wasm"), must[[]byte](t)(built()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(must[string](t)(os.Executable()))
	cmd.Env = append(os.Environ(), append(env, parent+"="+dir, "TMPDIR="+dir)...)
	return cmd
}

// An executable that does not call RunChild is not started again.
func TestUncalled(t *testing.T) {
	for env, want := range map[string]string{uncalled + "=yes": `"by a process of its own"=false`, "": `"by a process of its own"=true`} {
		out, err := asParent(t, env).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "error: <nil>") {
			t.Errorf("%s: %v, want %s in:\n%s", env, err, want, out)
		}
	}
}

// children returns the compilers that a process has started.
func children(t *testing.T, of int) (pids []int) {
	t.Helper()
	for _, dir := range must[[]string](t)(filepath.Glob("/proc/[0-9]*")) {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
		_, after, _ := bytes.Cut(stat, []byte(") "))
		fields := strings.Fields(string(after))
		if bytes.HasPrefix(line, []byte("dstackless-compiler\x00")) && len(fields) > 1 && fields[1] == strconv.Itoa(of) {
			pids = append(pids, must[int](t)(strconv.Atoi(filepath.Base(dir))))
		}
	}
	return pids
}

// child waits for the compiler that a process starts.
func child(t *testing.T, of int) int {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the system does not tell of its processes")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if pids := children(t, of); len(pids) > 0 {
			return pids[0]
		}
		if time.Now().After(deadline) {
			t.Fatal("no compiler was started")
		}
	}
}

// gone waits until a process does not exist any more.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there: %s", pid, stat)
		}
	}
}

// When whoever wants the program goes, the compiler is killed.
func TestCancel(t *testing.T) {
	c, _ := start(t, compiler.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Get(ctx, "small", "alice", returning(must[[]byte](t)(built())))
		done <- err
	}()
	pid := child(t, os.Getpid())
	cancel()
	if err := <-done; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	gone(t, pid)
	if c.Owed() != 0 {
		t.Error("something is still in use")
	}
}

// A compiler does not outlive the process that started it.
func TestOrphan(t *testing.T) {
	cmd := asParent(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child(t, cmd.Process.Pid)
	cmd.Process.Kill()
	cmd.Wait()
	gone(t, pid)
}
