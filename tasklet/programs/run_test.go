package programs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet"
)

// build compiles with the go command, whose last argument is a package.
func build(t *testing.T, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.wasm")
	args = append(args[:len(args)-1:len(args)-1], "-o", file, args[len(args)-1])
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, text)
	}
	return must[[]byte](t)(os.ReadFile(file))
}

// A result is what can be seen of a program's run.
type result struct {
	status int
	err    error
	output string
	took   time.Duration
}

// same reports whether nobody could tell two runs apart.
func (r result) same(other result) bool {
	return r.status == other.status && r.err == nil && other.err == nil && r.output == other.output
}

func (r result) String() string { return fmt.Sprintf("status %d, %v\n%s", r.status, r.err, r.output) }

// end waits for a tasklet's end.
func end(ctx context.Context, t *testing.T, tl *tasklet.Tasklet) (r result) {
	t.Helper()
	r.status, r.err = tl.Wait(ctx)
	if ctx.Err() != nil {
		out := must[io.ReadCloser](t)(tl.Output(t.Context(), false))
		got, _ := io.ReadAll(out)
		t.Fatalf("it does not end; so far it wrote:\n%s", got)
	}
	out := must[io.ReadCloser](t)(tl.Output(ctx, true))
	defer out.Close()
	r.output = string(must[[]byte](t)(io.ReadAll(out)))
	return r
}

// stay runs a program on one peer, to its end.
func stay(ctx context.Context, t *testing.T, p *peer, wasm []byte, args ...string) result {
	t.Helper()
	began := time.Now()
	r := end(ctx, t, must[*tasklet.Tasklet](t)(p.Spawn(ctx, wasm, args...)))
	r.took = time.Since(began).Round(time.Millisecond)
	return r
}

// warm runs a program once on every peer, with arguments that give it little to
// do: from then on each has it compiled, and no time goes by at the first
// moves.
func warm(ctx context.Context, t *testing.T, peers []*peer, wasm []byte, args ...string) {
	t.Helper()
	for _, p := range peers {
		if r := stay(ctx, t, p, wasm, args...); r.status != 0 || r.err != nil {
			t.Fatal(r)
		}
	}
}

// wander runs a program that is moved among peers until it has come to its
// end, with pauses of at most rest, and returns how often it was.
func wander(ctx context.Context, t *testing.T, rnd *rand.Rand, rest time.Duration, peers []*peer, wasm []byte, args ...string) (r result, moves int) {
	t.Helper()
	began := time.Now()
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, wasm, args...))
	at := 0
	for {
		wait, cancel := context.WithTimeout(ctx, time.Duration(rnd.Int64N(int64(rest)))+1)
		_, err := tl.Wait(wait)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			break
		}
		next := (at + 1 + rnd.IntN(len(peers)-1)) % len(peers)
		err = tl.Move(ctx, peers[next].node.ID().String())
		if errors.Is(err, tasklet.ErrExited) {
			break
		}
		if err != nil {
			t.Fatalf("move %d, from peer %d to peer %d: %v", moves, at, next, err)
		}
		at = next
		moves++
	}
	r = end(ctx, t, tl)
	r.took = time.Since(began).Round(time.Millisecond)
	return r, moves
}

// random returns the source of a test's decisions.
func random(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed=%d", s)
	return rand.New(rand.NewPCG(s, 0))
}
