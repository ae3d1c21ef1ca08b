package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// patience is how long a script waits for what must come.
const patience = time.Minute

func TestMain(m *testing.M) {
	tasklet.RunCompiler()
	testscript.Main(m, map[string]func(){"dspeer": main, "embeds": embeds})
}

func TestScript(t *testing.T) {
	prog, err := filepath.Abs("testdata/prog")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	caches := strings.Fields(string(cache))
	compiled := t.TempDir()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("LOCAL", "/ip4/127.0.0.1/tcp/0") // any free port
			e.Setenv("GOCACHE", caches[0])
			e.Setenv("GOMODCACHE", caches[1])
			e.Setenv("GORACE", "atexit_sleep_ms=10") // instead of a second for each command
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serving":    serving,
			"capture":    capture,
			"eventually": eventually,
			"terminate":  terminate,
			"twins":      twins,
			"tasklet":    nth,
			"repeat":     repeat,
			"data":       func(ts *testscript.TestScript, _ bool, args []string) { data(ts, compiled, args) },
			"build":      func(ts *testscript.TestScript, neg bool, args []string) { build(ts, prog, args) },
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// data makes data folders for peers that run programs: data DIR...
//
// They share their compiled code, which under the race detector takes 10 to 20
// seconds to make.
func data(ts *testscript.TestScript, compiled string, args []string) {
	for _, dir := range args {
		ts.Check(os.Mkdir(ts.MkAbs(dir), 0o700))
		ts.Check(os.Symlink(compiled, filepath.Join(ts.MkAbs(dir), "compiled")))
	}
}

// serving waits until a peer serves the data folder: serving DIR
func serving(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := control.NewClient(ts.MkAbs(args[0]))
	defer client.Close()
	for {
		_, err := client.Self(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			ts.Fatalf("no peer serves %s: %v", args[0], err)
		}
	}
}

// capture keeps what the last command printed in a variable: capture NAME
func capture(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// eventually runs a command until what it prints matches, or with ! no longer
// does: eventually PATTERN COMMAND...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); err == nil && want.MatchString(out) != neg {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("%v, and not %q in:\n%s", err, args[0], out)
		}
	}
}

// terminate sends SIGTERM to the latest background command: terminate
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	cmds := ts.BackgroundCmds()
	ts.Check(cmds[len(cmds)-1].Process.Signal(syscall.SIGTERM))
}

// build makes a tasklet of a program in testdata/prog: build PROGRAM FILE [FLAG...]
func build(ts *testscript.TestScript, prog string, args []string) {
	cmd := exec.Command("go", append(append([]string{"build"}, args[2:]...), "-o", ts.MkAbs(args[1]), ".")...)
	cmd.Dir = filepath.Join(prog, args[0])
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("build %s: %v\n%s", args[0], err, out)
	}
}

// twins starts tasklets until the IDs of two begin with one digit, and keeps
// the digit in a variable: twins NAME DIR FILE
func twins(ts *testscript.TestScript, _ bool, args []string) {
	seen := map[byte]bool{}
	for {
		ts.Check(ts.Exec("dspeer", "spawn", "--data", args[1], args[2]))
		digit := ts.ReadFile("stdout")[0]
		if seen[digit] {
			ts.Setenv(args[0], string(digit))
			return
		}
		seen[digit] = true
	}
}

// nth keeps the ID of the tasklet that "dspeer ps" shows in that line, from 1, in
// a variable: tasklet NAME DIR LINE
func nth(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("dspeer", "ps", "--data", args[1]))
	for n, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if fmt.Sprint(n) == args[2] && line != "" {
			ts.Setenv(args[0], strings.Fields(line)[0])
			return
		}
	}
	ts.Fatalf("no line %s in:\n%s", args[2], ts.ReadFile("stdout"))
}

// repeat keeps a text, so many times over, in a variable: repeat NAME TEXT COUNT
func repeat(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, digit := range args[2] {
		n = n*10 + int(digit-'0')
	}
	ts.Setenv(args[0], strings.Repeat(args[1], n))
}
