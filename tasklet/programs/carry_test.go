package programs_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// compile makes code for sandboxes that belong to no peer.
func compile(t *testing.T, wasm []byte) *sandbox.Code {
	t.Helper()
	runtime := must[*sandbox.Runtime](t)(sandbox.NewRuntime(t.Context(), &sandbox.Options{CacheDir: filepath.Join(workdir, "compiled")}))
	t.Cleanup(func() { runtime.Close() })
	code := must[*sandbox.Code](t)(runtime.Compile(t.Context(), must[*program.Program](t)(program.Load(wasm))))
	t.Cleanup(func() { code.Close() })
	return code
}

// alone runs a program in a sandbox that nobody disturbs.
func alone(ctx context.Context, t *testing.T, code *sandbox.Code, args ...string) result {
	t.Helper()
	began := time.Now()
	var out bytes.Buffer
	i := must[*sandbox.Instance](t)(code.New(sandbox.Config{
		Args: append([]string{"program"}, args...), MemoryLimit: memoryLimit, Output: func(p []byte) { out.Write(p) },
	}))
	defer i.Close()
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.Done():
	case <-ctx.Done():
		i.Close()
		t.Fatalf("it does not end; so far it wrote:\n%s", &out)
	}
	status, err := i.Exit()
	return result{status, err, out.String(), time.Since(began).Round(time.Millisecond)}
}

// carry runs a program that is stopped all the time and carried on in a new
// sandbox: a move without the way. In between it runs for at most rest more than
// that takes, because memories can be large. It returns how often it was
// stopped.
func carry(ctx context.Context, t *testing.T, rnd *rand.Rand, rest time.Duration, code *sandbox.Code, args ...string) (r result, moves int) {
	t.Helper()
	began := time.Now()
	var out bytes.Buffer // of one guest at a time
	cfg := sandbox.Config{Args: append([]string{"program"}, args...), MemoryLimit: memoryLimit, Output: func(p []byte) { out.Write(p) }}
	i := must[*sandbox.Instance](t)(code.New(cfg))
	defer func() { i.Close() }()
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	var cost time.Duration // of the last time: it is not to be all that is done
	for {
		select {
		case <-i.Done():
		case <-time.After(cost + time.Duration(rnd.Int64N(int64(rest)))):
		}
		began := time.Now()
		err := i.Pause(ctx)
		if errors.Is(err, sandbox.ErrExited) {
			break
		}
		if err != nil {
			t.Fatalf("stop %d: %v", moves, err)
		}
		state := must[sandbox.State](t)(i.State())
		next := must[*sandbox.Instance](t)(code.New(cfg))
		if err := next.Grow(state.Pages); err != nil {
			t.Fatal(err)
		}
		copyPages(next.Memory(), i.Memory(), code.Image())
		i.Close()
		i = next
		if err := errors.Join(next.Adopt(state), next.Continue()); err != nil {
			t.Fatal(err)
		}
		moves++
		cost = time.Since(began)
	}
	r.status, r.err = i.Exit()
	r.output = out.String()
	r.took = time.Since(began).Round(time.Millisecond)
	return r, moves
}

// copyPages copies a memory to one that is as a program starts with. Most pages
// of a large memory are zero, and need not become real.
func copyPages(to, from, image []byte) {
	const page = 4096
	var zeros [page]byte
	for at := 0; at < len(from); at += page {
		was := zeros[:]
		if at < len(image) {
			was = image[at : at+page]
		}
		if now := from[at : at+page]; !bytes.Equal(was, now) {
			copy(to[at:], now)
		}
	}
}
