package tasklet_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dstackless/dstackless/peertest/guests"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

var updateGolden = flag.Bool("golden", false, "write the golden continuations anew; only a new version of the format justifies it")

// A continuation that was written when this version was new is kept:
// old continuations stay readable.
func TestGoldenContinuation(t *testing.T) {
	for file, want := range map[string]tasklet.Continuation{
		"continuation-1": good(), "function-1": goodFunction(), "resting-1": goodResting(),
	} {
		if *updateGolden {
			if err := os.WriteFile("testdata/"+file+".gob", encode(t, want), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		data := must[[]byte](t)(os.ReadFile("testdata/" + file + ".gob"))
		got := must[*tasklet.Continuation](t)(tasklet.DecodeContinuation(data, limit))
		if f := want.Function; f != nil { // gob numbers types as they come, which is different in each process
			if state, err := tasklet.DecodeState(count, got.Function.State); err != nil || !reflect.DeepEqual(state, &counter{N: 3, To: 300}) {
				t.Errorf("%s: state %+v, %v", file, state, err)
			}
			got.Function.State = f.State
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: decoded %+v", file, got)
		}
	}
}

// goldenOutput is what the program in testdata/golden prints.
var goldenOutput = "started\n" + strings.Repeat("818035329 7416850731843258178 1.6710923849764366e+07\n", 8) + "523976 818035336\n"

// goldenMoments are when the golden continuations were made: after that many
// bytes of output, in a loop that calls nothing or while all goroutines wait.
var goldenMoments = map[string]struct {
	after  int
	inLoop bool
}{
	"computing": {len("started\n") + 1, true},
	"waiting":   {strings.LastIndex(goldenOutput, "523976"), false},
}

// Continuations of a real program, made when this version was new, go on.
func TestGoldenContinuationResumes(t *testing.T) {
	const dir = "testdata/golden/"
	wasm := unpack(t, dir+"program.wasm.zst")
	if err := guests.Compile(wasm, cache); err != nil {
		t.Fatal(err)
	}
	runtime := must[*sandbox.Runtime](t)(sandbox.NewRuntime(t.Context(), &sandbox.Options{CacheDir: cache}))
	defer runtime.Close()
	code := must[*sandbox.Code](t)(runtime.Compile(t.Context(), must[*program.Program](t)(program.Load(wasm))))
	defer code.Close()
	for name, moment := range goldenMoments {
		t.Run(name, func(t *testing.T) {
			if *updateGolden {
				c, pages := freeze(t, code, moment.after, moment.inLoop)
				for file, data := range map[string][]byte{".gob": encode(t, c), ".pages.zst": pack(t, pages)} {
					if err := os.WriteFile(dir+name+file, data, 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			data := must[[]byte](t)(os.ReadFile(dir + name + ".gob"))
			c := must[*tasklet.Continuation](t)(tasklet.DecodeContinuation(data, tasklet.DefaultMemoryLimit))
			if c.State.InLoop != moment.inLoop {
				t.Errorf("InLoop is %v", c.State.InLoop)
			}
			if got := thaw(t, code, c, unpack(t, dir+name+".pages.zst")); got != goldenOutput {
				t.Errorf("output:\n%s\nwant:\n%s", got, goldenOutput)
			}
		})
	}
}

// printed collects what a sandbox writes.
type printed struct {
	mu  sync.Mutex
	all []byte
}

func (p *printed) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, b...)
}

func (p *printed) bytes() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// thaw carries a continuation on and returns all that the program printed.
func thaw(t *testing.T, code *sandbox.Code, c *tasklet.Continuation, pages []byte) string {
	t.Helper()
	out := printed{all: c.Unread}
	i := must[*sandbox.Instance](t)(code.New(sandbox.Config{Output: out.write}))
	defer i.Close()
	if err := i.Grow(c.State.Pages); err != nil {
		t.Fatal(err)
	}
	if len(pages) != 4096*len(c.Memory.Index) {
		t.Fatalf("%d bytes for %d pages", len(pages), len(c.Memory.Index))
	}
	for n, index := range c.Memory.Index {
		page := pages[4096*n:][:4096]
		if hash := sha256.Sum256(page); !bytes.Equal(hash[:], c.Memory.Hashes[32*n:][:32]) {
			t.Fatalf("page %d is not what its hash says", index)
		}
		copy(i.Memory()[4096*int(index):], page)
	}
	if err := i.Adopt(c.State); err != nil {
		t.Fatal(err)
	}
	if err := i.Continue(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.Done():
	case <-within(t, patience).Done():
		t.Fatalf("it does not end; it wrote %q", out.bytes())
	}
	if status, err := i.Exit(); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	return string(out.bytes())
}

// freeze runs the program until it has written that many bytes, stops it and
// returns its continuation with the contents of its pages.
func freeze(t *testing.T, code *sandbox.Code, after int, inLoop bool) (c tasklet.Continuation, pages []byte) {
	t.Helper()
	var out printed
	i := must[*sandbox.Instance](t)(code.New(sandbox.Config{Args: []string{"program"}, Output: out.write}))
	defer i.Close()
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, patience)
	for {
		time.Sleep(20 * time.Millisecond) // into what follows the output
		if err := i.Pause(ctx); err != nil {
			t.Fatal(err)
		}
		state := must[sandbox.State](t)(i.State())
		if len(out.bytes()) >= after && state.InLoop == inLoop {
			c = good()
			c.State, c.Unread = state, out.bytes()
			break
		}
		if err := i.Continue(); err != nil {
			t.Fatal(err)
		}
	}
	c.Memory = tasklet.PageList{Size: uint64(len(i.Memory()))}
	was := make([]byte, len(i.Memory()))
	copy(was, code.Image())
	for at := 0; at < len(was); at += 4096 {
		if now := i.Memory()[at:][:4096]; !bytes.Equal(now, was[at:][:4096]) {
			hash := sha256.Sum256(now)
			c.Memory.Index = append(c.Memory.Index, uint32(at/4096))
			c.Memory.Hashes = append(c.Memory.Hashes, hash[:]...)
			pages = append(pages, now...)
		}
	}
	return c, pages
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	d := must[*zstd.Decoder](t)(zstd.NewReader(nil))
	defer d.Close()
	return must[[]byte](t)(d.DecodeAll(must[[]byte](t)(os.ReadFile(file)), nil))
}

func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	e := must[*zstd.Encoder](t)(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression)))
	defer e.Close()
	return e.EncodeAll(data, nil)
}
