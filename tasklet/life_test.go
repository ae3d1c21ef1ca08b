package tasklet_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// spawn starts a program and waits until it has printed a line.
func spawn(ctx context.Context, t testing.TB, p *peer, program string, args ...string) *tasklet.Tasklet {
	t.Helper()
	tl := must[*tasklet.Tasklet](t)(p.Spawn(ctx, build(t, program), args...))
	out := must[io.ReadCloser](t)(tl.Output(ctx, true))
	defer out.Close()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return tl
}

func TestKill(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 2, both)
	for _, where := range peers {
		tl := spawn(ctx, t, peers[0], "zoo", "forever")
		if where != peers[0] {
			if err := tl.Move(ctx, where.id()); err != nil {
				t.Fatal(err)
			}
		}
		if err := tl.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
			t.Errorf("wait: %v", err)
		}
		if where.Here(tl.ID()) {
			t.Error("killed, and still here")
		}
		for what, err := range map[string]error{"kill": tl.Kill(ctx), "move": tl.Move(ctx, peers[1].id())} {
			if !errors.Is(err, tasklet.ErrExited) {
				t.Errorf("%s of a killed tasklet: %v", what, err)
			}
		}
	}
}

func TestCrash(t *testing.T) {
	ctx := within(t, patience)
	p := startPeer(t, tcp, &tasklet.Options{Limits: tasklet.Limits{Memory: 32 << 20}})
	for arg, want := range map[string]string{"crash": "assignment to entry in nil map", "gorge": "out of memory"} {
		tl := spawn(ctx, t, p, "zoo", arg)
		if status, err := tl.Wait(ctx); status != 2 {
			t.Errorf("%s: exit status %d, %v", arg, status, err)
		}
		if out := output(t, tl); !strings.Contains(out, want) || !strings.Contains(out, "main.main") {
			t.Errorf("%s: printed %q", arg, out)
		}
	}
}

// A move that cannot be made says why, and the tasklet goes on.
func TestRefusedMoves(t *testing.T) {
	ctx := within(t, patience)
	a := startPeer(t, tcp, nil)
	closed := startPeer(t, tcp, nil) // accepts nobody
	small := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Memory: 4 << 20}})
	mute := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp})) // hosts no tasklets
	defer mute.Close()
	dead := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	for _, n := range []*p2p.Node{closed.node, small.node, mute, dead} {
		must[p2p.ID](t)(a.node.Connect(ctx, n.Addrs()[0]))
	}
	dead.Close()
	stranger := must[*p2p.Node](t)(p2p.Start(&p2p.Options{Listen: tcp}))
	defer stranger.Close()

	tl := spawn(ctx, t, a, "zoo", "hoard", "8")
	for _, c := range []struct {
		name, to string
		is       error
		says     string
	}{
		{"to a peer that refuses", closed.id(), tasklet.ErrRefused, "--accept " + a.id()},
		{"to a peer with too little memory", small.id(), tasklet.ErrRefused, tasklet.ErrLimit.Error()},
		{"to itself", a.id(), tasklet.ErrSelf, "already there"},
		{"to a peer that hosts no tasklets", mute.ID().String(), p2p.ErrProtocol, "speak"},
		{"to a peer that is gone", dead.ID().String(), p2p.ErrUnreachable, ""},
		{"to a peer that nobody knows", stranger.ID().String(), p2p.ErrUnknownPeer, ""},
		{"to no peer", "somewhere", nil, "no peer that can be found has the name"},
	} {
		err := tl.Move(ctx, c.to)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		if l := tasklet.LimitOf(err); c.to == small.id() &&
			(l == nil || l.Limit != tasklet.LimitMemory || l.Peer != small.id() || l.Max != 4<<20 || l.Asked < 8<<20) {
			t.Errorf("%s: the limit is %+v", c.name, l)
		}
		if !a.Here(tl.ID()) {
			t.Fatalf("%s: the tasklet is gone", c.name)
		}
		t.Logf("%s: %v", c.name, err)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	ctx := within(t, patience)
	p := functionPeers(t, 1)[0]
	var ids []tasklet.ID
	for range 17 { // two of them begin with the same digit
		ids = append(ids, must[*tasklet.Tasklet](t)(p.Go(ctx, prints(0))).ID())
	}
	if len(p.List()) != len(ids) {
		t.Errorf("%d tasklets are listed", len(p.List()))
	}
	ambiguous := 0
	for _, id := range ids {
		for n := 1; n <= len(id); n++ {
			switch tl, err := p.Find(string(id[:n])); {
			case errors.Is(err, tasklet.ErrAmbiguous) && n < len(id):
				ambiguous++
			case err != nil || tl.ID() != id:
				t.Fatalf("find %s: %v", id[:n], err)
			}
		}
	}
	if ambiguous == 0 {
		t.Error("no prefix was ambiguous")
	}
	for _, id := range []string{"", "x", strings.Repeat("0", 33)} {
		if _, err := p.Find(id); !errors.Is(err, tasklet.ErrNotFound) {
			t.Errorf("find %q: %v", id, err)
		}
	}
}
