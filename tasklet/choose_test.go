package tasklet_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// A program that has many sends under way, and one select after the other, is
// moved all the time: each value arrives once, and in order.
func TestSelectsMove(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 3, tcp)
	const n, wanted = 2000, 3
	var others sync.WaitGroup
	for i, name := range []string{"numbers", "right"} {
		c := open(t, peers[i], channel.Name(name))
		others.Go(func() {
			for want := range n + 1 - i {
				if got, err := c.Receive(ctx); err != nil || got != want {
					t.Errorf("%s: received %d, %v; want %d", name, got, err, want)
					return
				}
			}
		})
	}
	left, moved := open(t, peers[2], "left"), make(chan struct{})
	others.Go(func() {
		for i := range n {
			if i == n-1 { // the program does not end before
				select {
				case <-moved:
				case <-ctx.Done():
				}
			}
			if err := left.Send(ctx, i); err != nil {
				t.Error(err)
				return
			}
		}
	})
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, build(t, "choose"), fmt.Sprint(n)))
	moves := 0
	for ; ; moves++ {
		if moves == wanted {
			close(moved)
		}
		err := tl.Move(ctx, peers[(moves+1)%3].id())
		if errors.Is(err, tasklet.ErrExited) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	status, err := tl.Wait(ctx)
	got := must[[]byte](t)(io.ReadAll(must[io.ReadCloser](t)(tl.Output(ctx, true))))
	const want = "default: 1 <nil> balance: 0 <nil> closed: false\nclosed: 0 true true\n"
	if status != 0 || err != nil || string(got) != want {
		t.Errorf("exit status %d, %v; it printed\n%s", status, err, got)
	}
	others.Wait()
	t.Logf("%d moves", moves)
}
