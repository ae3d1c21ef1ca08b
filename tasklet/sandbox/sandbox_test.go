package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// The guests in testdata are built and compiled once per run.
var (
	workdir string
	engine  *sandbox.Runtime
	guests  = map[string]func() (*sandbox.Code, error){}
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if workdir, err = os.MkdirTemp("", "sandbox"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(workdir)
		if engine, err = sandbox.NewRuntime(context.Background(), nil); err != nil {
			panic(err)
		}
		dirs, _ := filepath.Glob("testdata/*/main.go")
		for _, d := range dirs {
			name := filepath.Base(filepath.Dir(d))
			guests[name] = sync.OnceValues(func() (*sandbox.Code, error) { return build(name) })
		}
		status := m.Run()
		engine.Close()
		if err := goleak.Find(); err != nil && status == 0 {
			println(err.Error())
			return 1
		}
		return status
	}())
}

func build(name string) (*sandbox.Code, error) {
	out := filepath.Join(workdir, name+".wasm")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	p, err := program.Load(wasm)
	if err != nil {
		return nil, err
	}
	return engine.Compile(context.Background(), p)
}

// guest returns the code of the program in testdata that has a guest.
func guest(t testing.TB, name string) *sandbox.Code {
	t.Helper()
	if guests[name] == nil {
		name = "many"
	}
	code, err := guests[name]()
	if err != nil {
		t.Fatalf("build guest %q: %v", name, err)
	}
	return code
}

// output collects what a guest writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) write(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs a guest and closes it when the test ends.
func start(t testing.TB, name string, cfg sandbox.Config) *sandbox.Instance {
	t.Helper()
	return run(t, guest(t, name), cfg)
}

func run(t testing.TB, code *sandbox.Code, cfg sandbox.Config) *sandbox.Instance {
	t.Helper()
	i, err := code.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	return i
}

// wait waits for a guest's end.
func wait(t testing.TB, i *sandbox.Instance) (int, error) {
	t.Helper()
	select {
	case <-i.Done():
	case <-time.After(time.Minute):
		t.Fatal("the guest did not come to its end within a minute")
	}
	return i.Exit()
}

// within returns a context for what must not take long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// move pauses i and carries its state on in a new instance.
func move(t testing.TB, code *sandbox.Code, i *sandbox.Instance, cfg sandbox.Config, edit func(*sandbox.State)) *sandbox.Instance {
	t.Helper()
	s, err := i.State()
	if err != nil {
		t.Fatal(err)
	}
	next, err := code.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	if err := next.Grow(s.Pages); err != nil {
		t.Fatal(err)
	}
	copy(next.Memory(), i.Memory())
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&s)
	}
	if err := errors.Join(next.Adopt(s), next.Continue()); err != nil {
		t.Fatal(err)
	}
	return next
}

// A program that is stopped at random moments, and carried on in a new instance
// or where it was, does what it does when it is left alone.
func TestMoveAtRandomMoments(t *testing.T) {
	for _, test := range []struct {
		name, rounds string
		moves        int // fewer would prove little
		plain        bool
	}{
		{"mix", "150", 100, false},
		{"crunch", "12", 60, false},
		{"mix", "50", 20, true},
	} {
		t.Run(test.name+map[bool]string{true: " plain"}[test.plain], func(t *testing.T) {
			code := guest(t, test.name)
			if test.plain {
				code = code.Plain()
			}
			args := []string{test.name, test.rounds}
			var want, got output
			i := run(t, code, sandbox.Config{Args: args, Output: want.write})
			began := time.Now()
			if status, err := wait(t, i); status != 0 || err != nil {
				t.Fatalf("left alone: status %d, %v\n%s", status, err, &want)
			}
			t.Logf("left alone: %v", time.Since(began))

			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			cfg := sandbox.Config{Args: args, Output: got.write}
			i = run(t, code, cfg)
			moves, inPlace, inLoop := 0, 0, 0
			var waited time.Duration
			for {
				select {
				case <-i.Done():
				case <-time.After(time.Duration(rnd.IntN(2000)) * time.Microsecond):
				}
				began := time.Now()
				err := i.Pause(within(t))
				if err == sandbox.ErrExited {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				waited += time.Since(began)
				if s, err := i.State(); err == nil && s.InLoop {
					inLoop++
				}
				if rnd.IntN(4) == 0 {
					inPlace++
					if err := i.Continue(); err != nil {
						t.Fatal(err)
					}
					continue
				}
				i = move(t, code, i, cfg, nil)
				moves++
			}
			if status, err := i.Exit(); status != 0 || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
			if got.String() != want.String() {
				t.Errorf("output after %d moves:\n%s\nwant:\n%s", moves, &got, &want)
			}
			if moves+inPlace > 0 {
				t.Logf("%d moves and %d pauses in place, %d of them in loops; mean time to stop %v",
					moves, inPlace, inLoop, waited/time.Duration(moves+inPlace))
			}
			if moves < test.moves {
				t.Errorf("only %d moves", moves)
			}
		})
	}
}
