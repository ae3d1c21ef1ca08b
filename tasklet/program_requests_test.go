package tasklet_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A keeper talks to the animal tend.
type keeper struct {
	t            *testing.T
	ctx          context.Context
	wards        *channel.Channel[tasklet.Ref]
	orders, said *channel.Channel[string]
	*tasklet.Tasklet
}

func tend(ctx context.Context, t *testing.T, at *peer, name string) *keeper {
	t.Helper()
	open := func(what string) *channel.Channel[string] {
		return must[*channel.Channel[string]](t)(channel.Open[string](ctx, at.space, channel.Name(name+" "+what)))
	}
	wards := must[*channel.Channel[tasklet.Ref]](t)(channel.Open[tasklet.Ref](ctx, at.space, channel.Name(name+" ward")))
	tl := must[*tasklet.Tasklet](t)(at.Spawn(ctx, build(t, "zoo"), "tend", name))
	return &keeper{t, ctx, wards, open("orders"), open("said"), tl}
}

// watch tells which tasklet it is to look after.
func (k *keeper) watch(ward *tasklet.Tasklet) {
	k.t.Helper()
	if err := k.wards.Send(k.ctx, must[tasklet.Ref](k.t)(ward.Ref())); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) order(order string) {
	k.t.Helper()
	if err := k.orders.Send(k.ctx, order); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) hear() string {
	k.t.Helper()
	return must[string](k.t)(k.said.Receive(k.ctx))
}

// A program does everything with another tasklet of which it has a Ref, wherever
// both are, and waits for its end over its own moves.
func TestProgramTends(t *testing.T) {
	ctx := within(t, patience)
	var peers []*peer
	for range 3 {
		p := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, DataDir: t.TempDir()})
		for _, other := range peers {
			must[p2p.ID](t)(p.node.Connect(ctx, other.node.Addrs()[0]))
		}
		peers = append(peers, p)
	}
	a, b, c := peers[0], peers[1], peers[2]
	ward := spawn(ctx, t, a, "zoo", "crash", "now")
	k := tend(ctx, t, b, "keeper")
	k.watch(ward)
	info := func(host *peer, state string, status int) string {
		return fmt.Sprintf("true [program crash now] of %s at %s true, %s, status %d, false <nil> <nil>", a.id(), host.id(), state, status)
	}
	for _, step := range []struct{ order, want string }{
		{"info", info(a, "running", 0)},
		{"move " + c.id(), "<nil>"},
		{"move " + c.id(), "there"},
		{"info", info(c, "running", 0)},
		{"move nowhere", `"nowhere"`},
		{"suspend", "<nil>"},
		{"info", info(c, "suspended", 0)},
		{"move " + a.id(), "suspended"},
		{"resume", "<nil>"},
		{"own", "refused"},
		{"wrong", "refused"},
		{"unknown", "not found"},
		{"noise", "not found"},
		{"crowd", "map[canceled:256 limit:44]"},
		{"move " + b.id(), "<nil>"}, // to where its keeper is
		{"wrong", "refused"},
		{"suspend", "<nil>"},
		{"resume", "<nil>"},
		{"info", info(b, "running", 0)},
	} {
		k.order(step.order)
		if got := k.hear(); got != step.want && !(step.want[0] == '"' && strings.Contains(got, step.want)) {
			t.Errorf("%s: %q; want %q", step.order, got, step.want)
		}
	}
	k.order("await")
	for _, to := range []*peer{c, a} {
		if err := k.Move(ctx, to.id()); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	if err := k.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	tell(ctx, t, c, "now")
	if got, want := k.hear(), "ended 2 panic: assignment to entry in nil map true <nil>"; got != want {
		t.Errorf("it waited for %q; want %q", got, want)
	}
	k.order("kill")
	if got := k.hear(); got != "exited" {
		t.Errorf("kill of what has crashed: %q", got)
	}
	k.order("info")
	if got, want := k.hear(), info(b, "exited", 2); got != want {
		t.Errorf("of what has crashed it knows %q; want %q", got, want)
	}
	if err := k.orders.Close(ctx); err != nil {
		t.Error(err)
	}
	wantExit(ctx, t, k.Tasklet)
}

// Two programs that move each other at the same time do not wait for each other
// for ever.
func TestProgramsTendEachOther(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 2, tcp)
	both := []*keeper{tend(ctx, t, peers[0], "first"), tend(ctx, t, peers[0], "second")}
	both[0].watch(both[1].Tasklet)
	both[1].watch(both[0].Tasklet)
	for n := range 12 {
		for i, k := range both {
			k.order("move " + peers[(n/2+n*i+1)%2].id()) // together, and past each other
		}
		for _, k := range both {
			if got := k.hear(); got != "<nil>" && got != "there" {
				t.Errorf("move %d: %s", n, got)
			}
		}
	}
	for _, k := range both {
		if err := k.orders.Close(ctx); err != nil {
			t.Error(err)
		}
		wantExit(ctx, t, k.Tasklet)
	}
}

// A program is not kept from moving by what it has asked for, however long that
// takes; it asks again where it goes on.
func TestProgramMovesMeanwhile(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 3, tcp)
	a, b, c := peers[0], peers[1], peers[2]
	ward := spawn(ctx, t, a, "zoo", "forever")
	k := tend(ctx, t, a, "keeper")
	k.watch(ward)
	asked, moved := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	a.OnStep(func(step string) {
		if step != "commit" || !first.CompareAndSwap(false, true) {
			return
		}
		close(asked) // that is the ward's move
		select {
		case <-moved:
		case <-time.After(30 * time.Second):
			t.Error("it waits for what it has asked for")
		}
	})
	k.order("move " + b.id())
	<-asked
	if err := k.Move(ctx, c.id()); err != nil {
		t.Error(err)
	}
	close(moved)
	if got := k.hear(); got != "there" && got != "<nil>" {
		t.Errorf("move: %s", got)
	}
	if where, err := ward.Where(ctx); where != b.id() || err != nil {
		t.Errorf("the ward is at %s, %v", where, err)
	}
	for _, tl := range []*tasklet.Tasklet{ward, k.Tasklet} {
		if err := tl.Kill(ctx); err != nil {
			t.Error(err)
		}
	}
}
