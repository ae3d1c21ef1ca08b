package compiler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dstackless/dstackless/tasklet/compiler"
)

// A compiler has no environment, of its parent's descriptors only its two pipes,
// nothing to read on its standard input, and a limit on its memory.
func TestConfined(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil { // without O_CLOEXEC
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	c, _ := start(t, compiler.Options{})
	done := make(chan error, 1)
	go func() {
		_, err := c.Get(t.Context(), "small", "alice", returning(must[[]byte](t)(built())))
		done <- err
	}()
	pid := child(t, os.Getpid())
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	for { // until it is confined
		_, limit, _ := strings.Cut(read("limits"), "Max data size")
		if fields := strings.Fields(limit); len(fields) > 0 && fields[0] != "unlimited" {
			break
		}
		if t.Failed() {
			return
		}
	}
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(pid, unix.SIGKILL)
	if env := read("environ"); env != "" {
		t.Errorf("its environment is %q", env)
	}
	for _, path := range must[[]string](t)(filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))) {
		at, _ := os.Readlink(path)
		switch fd := filepath.Base(path); {
		case (fd == "0" || fd == "1") && at == os.DevNull:
		case (fd == "2" || fd == "3" || fd == "4") && strings.HasPrefix(at, "pipe:"):
		case strings.HasPrefix(at, "anon_inode:"), strings.HasPrefix(at, "/proc"), strings.HasPrefix(at, "/sys/fs/cgroup"), strings.Contains(at, "making-"): // its own
		default:
			t.Errorf("descriptor %s is %s", fd, at)
		}
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
