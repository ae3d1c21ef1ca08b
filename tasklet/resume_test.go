package tasklet_test

import (
	"sync/atomic"
	"testing"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A transfer that breaks off goes on where it was: pages that the destination
// has do not come again.
func TestTransferResumes(t *testing.T) {
	const size = 24 // MiB
	for _, disk := range []bool{false, true} {
		ctx := within(t, patience)
		a := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
		b := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
		if disk {
			b = startAt(t, t.TempDir(), tcp)
		}
		must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
		tl := spawn(ctx, t, a, "zoo", "keep", "24")
		var cut atomic.Bool
		a.OnStep(func(step string) {
			if step == "pages" && cut.CompareAndSwap(false, true) {
				a.node.Host().Network().ClosePeer(b.node.ID())
			}
		})
		if err := tl.Move(ctx, b.id()); err != nil {
			t.Fatal(err)
		}
		var hop tasklet.Hop
		eventually(ctx, t, "the word of the move", func() bool {
			moves := look(t, tl).Moves
			if len(moves) > 0 {
				hop = moves[0]
			}
			return len(moves) > 0
		})
		// The stream outlives its connection: what was sent is not sent again.
		if !cut.Load() || hop.New > hop.Bytes+hop.Bytes/4 || hop.Bytes < size<<20 {
			t.Errorf("disk %v: %d bytes were sent for %d", disk, hop.New, hop.Bytes)
		}
		t.Logf("%d bytes were sent for %d", hop.New, hop.Bytes)
		if err := tl.Kill(ctx); err != nil {
			t.Error(err)
		}
	}
}

// The same when the destination is killed in between and started again: its new
// process has what the old one got, and the move hears at once that the old one
// is gone.
func TestTransferResumesAfterCrash(t *testing.T) {
	ctx := within(t, patience)
	a, b := startProcess(t, true, ""), startProcess(t, true, "received 5")
	a.connect(ctx, b)
	id := must[answer](t)(a.ask(ctx, "spawn", programFile(t, "zoo"), "keep", "24")).Value
	eventually(ctx, t, "the heap", func() bool {
		out, err := a.ask(ctx, "output", id)
		return err == nil && out.Value != ""
	})
	moved := a.begin("move", id, b.id)
	b.reaches(ctx, "received 5", moved)
	b.kill()
	b.settings.Stop = ""
	b.start()
	b.connect(ctx, a)
	select {
	case m := <-moved:
		if m.Error != "" {
			t.Fatal(m.Error)
		}
	case <-ctx.Done():
		t.Fatal("the move does not end")
	}
	var hop tasklet.Hop
	eventually(ctx, t, "the word of the move", func() bool {
		info, err := a.ask(ctx, "info", id)
		if err == nil && len(info.Info.Moves) > 0 {
			hop = info.Info.Moves[0]
		}
		return hop.To != ""
	})
	// Of what is listed, 4 MiB at a time, it had got four parts and something.
	if hop.New > hop.Bytes-12<<20 || hop.Bytes < 24<<20 {
		t.Errorf("the second attempt brought %d bytes of %d", hop.New, hop.Bytes)
	}
	t.Logf("the second attempt brought %d bytes of %d", hop.New, hop.Bytes)
}
