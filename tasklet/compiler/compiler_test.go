package compiler_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/tasklet/compiler"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

func TestMain(m *testing.M) {
	if os.Getenv(uncalled) == "" {
		compiler.RunChild()
	}
	if dir := os.Getenv(parent); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m)
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// built builds a program.
var built = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "compiler")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "small.wasm")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/small")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// variant returns the program with n in place of a text that nobody reads, so that
// it is another one.
func variant(t testing.TB, n byte) []byte {
	t.Helper()
	wasm := bytes.Clone(must[[]byte](t)(built()))
	name := []byte("runtime.gcenable") // in the section of names
	at := bytes.LastIndex(wasm, name)
	if at < 0 {
		t.Fatalf("the program has no function %s", name)
	}
	wasm[at+len(name)-1] = n
	return wasm
}

// A log counts what a compiler says.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// start returns a compiler with these limits, and what it says.
func start(t testing.TB, o compiler.Options) (*compiler.Compiler, *log) {
	t.Helper()
	l := &log{}
	o.Logger = l.logger()
	c := compiler.New(&o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, l
}

// returning returns wasm for whoever fetches it.
func returning(wasm []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return wasm, nil }
}

// runs fails the test if the code does not run.
func runs(t *testing.T, code *sandbox.Code) {
	t.Helper()
	i := must[*sandbox.Instance](t)(code.New(sandbox.Config{Args: []string{"small"}}))
	defer i.Close()
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	<-i.Done()
	if _, err := i.Exit(); err != nil {
		t.Error(err)
	}
}

// A program that a peer brings is compiled by a process of its own, and not again
// as long as the folder has it.
func TestCompile(t *testing.T) {
	dir := t.TempDir()
	wasm := must[[]byte](t)(built())
	for round, want := range []int{1, 0} {
		c, said := start(t, compiler.Options{Dir: dir})
		for range 2 {
			p := must[*compiler.Program](t)(c.Get(t.Context(), "small", "alice", returning(wasm)))
			runs(t, p.Code())
			p.Release()
		}
		if n := said.count(`"by a process of its own"=true`); n != want {
			t.Errorf("round %d: compiled %d times, want %d:\n%s", round, n, want, &said.b)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	wasm := must[[]byte](b)(built())
	for _, peer := range []string{"", "alice"} {
		b.Run("peer="+peer, func(b *testing.B) {
			for b.Loop() {
				c, _ := start(b, compiler.Options{})
				p := must[*compiler.Program](b)(c.Get(b.Context(), "small", peer, returning(wasm)))
				p.Release()
			}
		})
	}
}
