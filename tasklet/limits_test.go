package tasklet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A tasklet that exceeds a limit ends with an error that names it, also at the
// peer that started it when that happens elsewhere.
func TestLimits(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	for _, c := range []struct {
		name   string
		opts   tasklet.Options
		args   []string
		says   string
		status int
	}{
		{"processor time", tasklet.Options{Limits: tasklet.Limits{CPU: 300 * time.Millisecond}}, []string{"forever"}, "--cpu", -1},
		{"output", tasklet.Options{Limits: tasklet.Limits{Output: 10_000}}, []string{"chatter"}, "--output", -1},
		{"memory", tasklet.Options{Limits: tasklet.Limits{Memory: 64 << 20}}, []string{"gorge"}, "--memory", 2},
		{"memory of all", tasklet.Options{Limits: tasklet.Limits{Continuations: 64 << 20}}, []string{"gorge"}, "--continuations", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.AcceptAny = true
			host := startPeer(t, tcp, &c.opts)
			must[p2p.ID](t)(home.node.Connect(ctx, host.node.Addrs()[0]))
			tl := spawn(ctx, t, home, "zoo", append(c.args, "go")...)
			if err := tl.Move(ctx, host.id()); err != nil {
				t.Fatal(err)
			}
			if c.args[0] != "forever" {
				tell(ctx, t, home, "go")
			}
			status, err := tl.Wait(ctx)
			if status != c.status || !errors.Is(err, tasklet.ErrLimit) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%d, %v", status, err)
			}
			if i := look(t, tl); i.Host != host.id() || !strings.Contains(i.Error, c.says) {
				t.Errorf("it ended as %+v", i)
			}
			t.Log(err)
		})
	}
}

// What the tasklets of one origin have at a peer is limited, and given back.
func TestLimitsOfOrigin(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	few := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Tasklets: 1}})
	small := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Continuations: 30 << 20}})
	for _, p := range []*peer{few, small} {
		must[p2p.ID](t)(home.node.Connect(ctx, p.node.Addrs()[0]))
	}
	one, two := spawn(ctx, t, home, "zoo", "hoard", "16"), spawn(ctx, t, home, "zoo", "hoard", "16")
	for _, c := range []struct {
		at   *peer
		says string
	}{{few, "--tasklets"}, {small, "--continuations"}} {
		for range 2 { // the second time, all was given back
			if err := one.Move(ctx, c.at.id()); err != nil {
				t.Fatal(err)
			}
			err := two.Move(ctx, c.at.id())
			if !errors.Is(err, tasklet.ErrLimit) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the second: %v", err)
			}
			t.Log(err)
			if err := one.Move(ctx, home.id()); err != nil {
				t.Fatal(err)
			}
		}
		if err := two.Move(ctx, c.at.id()); err != nil {
			t.Errorf("when the first has left: %v", err)
		}
		if err := two.Move(ctx, home.id()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tl := range []*tasklet.Tasklet{one, two} {
		if err := tl.Kill(ctx); err != nil {
			t.Error(err)
		}
	}
}

// The stack trace of a program that crashes comes to who waits for it.
func TestCrashTrace(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 2, tcp)
	for _, to := range peers {
		tl := spawn(ctx, t, peers[0], "zoo", "crash", "go")
		if to != peers[0] {
			if err := tl.Move(ctx, to.id()); err != nil {
				t.Fatal(err)
			}
		}
		tell(ctx, t, peers[0], "go")
		status, err := tl.Wait(ctx)
		var crash *tasklet.CrashError
		if status != 2 || !errors.As(err, &crash) {
			t.Fatalf("%d, %v", status, err)
		}
		if crash.Reason != "panic: assignment to entry in nil map" || !strings.Contains(crash.Stack, "main.crash(") || crash.Limit != nil {
			t.Errorf("%+v", crash)
		}
	}
}
