package tasklet_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/sandbox/testdata/work"
)

// A program that knows nothing of this module moves around, and nobody can
// tell from what it prints.
func TestPlainProgramMoves(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 3, both)
	n := 1500 // 3 seconds or more
	for plainMoves(ctx, t, peers, n) < 2 {
		n *= 2 // a slow machine
	}
}

// plainMoves moves a program that counts to n up to 6 times, checks what it
// prints, and returns how often it was moved before it came to its end.
func plainMoves(ctx context.Context, t *testing.T, peers []*peer, n int) (made int) {
	t.Helper()
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, build(t, "plain"), fmt.Sprint(n)))
	for ; made < 6; made++ {
		err := tl.Move(ctx, peers[(made+1)%3].id())
		if errors.Is(err, tasklet.ErrExited) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if status, err := tl.Wait(ctx); status != 7 || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
	got := must[[]byte](t)(io.ReadAll(must[io.ReadCloser](t)(tl.Output(ctx, true))))
	var want strings.Builder
	sum := 0
	for i := range n {
		fmt.Fprintln(&want, i)
		sum += i * i
	}
	fmt.Fprintln(&want, "sum", sum)
	if string(got) != want.String() {
		t.Errorf("output is wrong:\n%.2000s", got)
	}
	if moves := look(t, tl).Moves; len(moves) != made {
		t.Errorf("%d moves are told of, %d were made", len(moves), made)
	}
	return made
}

// codeSize returns how many bytes a program takes in memory at a peer.
func codeSize(p *peer, program string) int64 {
	for _, i := range p.Programs() {
		if i.Name == program {
			return i.Bytes
		}
	}
	return 0
}

// A program goes to and fro between a peer that trusts its loops and one that
// does not, and computes what it should.
func TestTrustedLoops(t *testing.T) {
	ctx := within(t, patience)
	peers := []*peer{startPeer(t, tcp, &tasklet.Options{AcceptAny: true, TrustLoops: true}), startPeer(t, tcp, &tasklet.Options{AcceptAny: true})}
	must[p2p.ID](t)(peers[0].node.Connect(ctx, peers[1].node.Addrs()[0]))
	wasm, want := build(t, "../sandbox/testdata/compute"), fmt.Sprintln(work.All["matrix"]())
	moves := 0
	for n := 30; moves < 4; n *= 2 { // on a slow machine it ends before
		tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, wasm, "matrix", fmt.Sprint(n)))
		for moves = 0; moves < 20; moves++ {
			err := tl.Move(ctx, peers[(moves+1)%2].id())
			if errors.Is(err, tasklet.ErrExited) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		wantExit(ctx, t, tl)
		if got := output(t, tl); got != strings.Repeat(want, n) {
			t.Errorf("after %d moves it printed %q; want %q each time", moves, got, want)
		}
		t.Logf("%d moves", moves)
		program := look(t, tl).Program
		if less, more := codeSize(peers[0], program), codeSize(peers[1], program); less >= more {
			t.Errorf("%d bytes of code where loops are trusted, %d where not", less, more)
		}
	}
}

// talk receives 0, 1, ... from the channel "out" at one peer and sends the
// same on "in" at another. The function that it returns closes "in", waits for
// the other side to close "out", and checks what came.
func talk(ctx context.Context, t *testing.T, at, from *peer) (progress *atomic.Int64, end func()) {
	t.Helper()
	out, in := open(t, at, "out"), open(t, from, "in")
	progress = new(atomic.Int64)
	var stopped atomic.Bool
	done := make(chan error, 2)
	go func() {
		for want := 0; ; want++ {
			switch got, err := out.Receive(ctx); {
			case errors.Is(err, channel.ErrClosed) && stopped.Load():
				done <- nil
				return
			case err != nil:
				done <- err
				return
			case got != want:
				done <- fmt.Errorf("received %d, want %d", got, want)
				return
			}
			progress.Add(1)
		}
	}()
	go func() {
		var err error
		for i := 0; err == nil && !stopped.Load(); i++ {
			err = in.Send(ctx, i)
		}
		if err == nil {
			err = in.Close(ctx)
		}
		done <- err
	}()
	return progress, func() {
		t.Helper()
		stopped.Store(true)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// await waits until progress reaches n.
func await(ctx context.Context, t *testing.T, progress *atomic.Int64, n int64) {
	t.Helper()
	for progress.Load() < n {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("only %d numbers came", progress.Load())
		}
	}
}

var manyMoves = flag.Int("moves", 12, "how often TestManyMoves moves its program")

// A program that talks on channels all the time is moved many times, and loses
// and doubles nothing.
func TestManyMoves(t *testing.T) {
	ctx := within(t, patience+time.Duration(*manyMoves)*10*time.Second)
	peers := startPeers(t, 3, both)
	progress, end := talk(ctx, t, peers[0], peers[1])
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, build(t, "zoo"), "travel"))
	for i := range *manyMoves {
		if err := tl.Move(ctx, peers[(i+1)%3].id()[:40]); err != nil {
			t.Fatal(err)
		}
	}
	end()
	t.Logf("%d numbers came", progress.Load())
	wantExit(ctx, t, tl)
}

func TestMovesItself(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 2, both)
	progress, end := talk(ctx, t, peers[0], peers[1])
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, build(t, "zoo"), "travel", peers[1].id()[:40])) // enough to say which
	await(ctx, t, progress, 600)
	end()
	wantExit(ctx, t, tl)
	if where, err := tl.Where(ctx); where != peers[1].id() || err != nil {
		t.Errorf("it ended at %s, %v", where, err)
	}
}

// wantExit wants the tasklet to end well.
func wantExit(ctx context.Context, t *testing.T, tl *tasklet.Tasklet) {
	t.Helper()
	if status, err := tl.Wait(ctx); status != 0 || err != nil {
		t.Errorf("exit status %d, %v: %s", status, err, output(t, tl))
	}
}

func output(t *testing.T, tl *tasklet.Tasklet) string {
	return string(must[[]byte](t)(io.ReadAll(must[io.ReadCloser](t)(tl.Output(t.Context(), false)))))
}

// The link breaks at each step of a move. Whatever the step, there is one
// tasklet, which goes on where it was.
func TestLinkBreaks(t *testing.T) {
	wasm := build(t, "zoo")
	for _, step := range []string{"offer", "prefetch", "freeze", "prepare", "prepared", "commit", "arrived"} {
		t.Run(step, func(t *testing.T) {
			ctx := within(t, patience)
			peers := startPeers(t, 2, tcp)
			a, b := peers[0], peers[1]
			progress, end := talk(ctx, t, a, a)
			cut := func(s string) {
				if s == step {
					a.node.Host().Network().ClosePeer(b.node.ID())
					b.node.Host().Network().ClosePeer(a.node.ID())
				}
			}
			a.OnStep(cut)
			b.OnStep(cut)
			tl := must[*tasklet.Tasklet](t)(a.Spawn(ctx, wasm, "travel"))
			await(ctx, t, progress, 100)
			err := tl.Move(ctx, b.id())
			t.Logf("move: %v", err)
			switch here, there := a.Here(tl.ID()), b.Here(tl.ID()); {
			case err != nil && !here, err == nil && !there, here && there:
				t.Errorf("it is here: %v, there: %v", here, there)
			}
			await(ctx, t, progress, progress.Load()+100)
			end()
			wantExit(ctx, t, tl)
		})
	}
}
