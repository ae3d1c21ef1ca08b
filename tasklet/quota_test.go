package tasklet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// exceeds reports whether err is of that limit of a peer, for a program as for
// people.
func exceeds(err error, limit tasklet.LimitName, at *peer) bool {
	l := tasklet.LimitOf(err)
	return l != nil && errors.Is(err, tasklet.ErrLimit) && l.Limit == limit && l.Peer == at.id() && l.Max > 0 &&
		strings.Contains(err.Error(), string(limit))
}

// A tasklet that exceeds a limit ends with an error that names it, also at the
// peer that started it when that happens elsewhere.
func TestLimits(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	for _, c := range []struct {
		name   string
		opts   tasklet.Options
		args   []string
		limit  tasklet.LimitName
		status int
	}{
		{"processor time", tasklet.Options{Limits: tasklet.Limits{CPU: 300 * time.Millisecond}}, []string{"forever"}, tasklet.LimitCPU, -1},
		{"output", tasklet.Options{Limits: tasklet.Limits{Output: 10_000}}, []string{"chatter"}, tasklet.LimitOutput, -1},
		{"memory", tasklet.Options{Limits: tasklet.Limits{Memory: 64 << 20}}, []string{"gorge"}, tasklet.LimitMemory, 2},
		{"memory of all", tasklet.Options{Limits: tasklet.Limits{Continuations: 64 << 20}}, []string{"gorge"}, tasklet.LimitHeld, 2},
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
			if status != c.status || !exceeds(err, c.limit, host) {
				t.Errorf("%d, %v", status, err)
			}
			if i := look(t, tl); i.Host != host.id() || i.Limit == nil || i.Limit.Limit != c.limit {
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
		at    *peer
		limit tasklet.LimitName
	}{{few, tasklet.LimitTasklets}, {small, tasklet.LimitHeld}} {
		for range 2 { // the second time, all was given back
			if err := one.Move(ctx, c.at.id()); err != nil {
				t.Fatal(err)
			}
			err := two.Move(ctx, c.at.id())
			if l := tasklet.LimitOf(err); !exceeds(err, c.limit, c.at) || l.Of != home.id() || l.Used == 0 || l.Asked == 0 {
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

// What was started at a peer may always come back, whatever others are allowed.
func TestLimitsAreForOthers(t *testing.T) {
	ctx := within(t, patience)
	away := startPeer(t, tcp, &tasklet.Options{AcceptAny: true})
	home := startPeer(t, tcp, &tasklet.Options{Limits: tasklet.Limits{Tasklets: 1, Continuations: 10 << 20}})
	must[p2p.ID](t)(home.node.Connect(ctx, away.node.Addrs()[0]))
	for range 2 {
		tl := spawn(ctx, t, home, "zoo", "hoard", "8")
		for _, to := range []*peer{away, home} {
			if err := tl.Move(ctx, to.id()); err != nil {
				t.Error(err)
			}
		}
	}
}

// A transfer that broke off is charged once, and stays, when what it begins again
// with is refused. Another one has the rest.
func TestLimitsOfBrokenTransfer(t *testing.T) {
	ctx := within(t, patience)
	from := startPeer(t, tcp, nil)
	victim := startPeer(t, tcp, &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Tasklets: 2, Continuations: 64 << 20}})
	must[p2p.ID](t)(from.node.Connect(ctx, victim.node.Addrs()[0]))
	tl := spawn(ctx, t, from, "zoo", "forever")
	first, second := offerOf(begun(good(), from.node)), offerOf(begun(good(), from.node))
	for attempt, c := range []struct {
		offer
		memory uint64
	}{{first, 16 << 20}, {first, 100 << 20}, {first, 16 << 20}, {second, 16 << 20}} {
		s, o := knock(t, from.node, victim), c.offer
		o.Move, o.Program, o.Memory = [16]byte{byte(attempt)}, look(t, tl).Program, c.memory
		s.say(offered, o)
		if o.Memory > 64<<20 {
			s.refused(string(tasklet.LimitHeld))
			continue
		}
		for _, want := range []byte{welcome, ready} {
			if tag, body := s.hear(); tag != want {
				t.Fatalf("attempt %d: message %d: %q", attempt, tag, body)
			}
		}
		s.Reset()
	}
}

// A peer that is started again knows what the tasklets of others have there.
func TestLimitsAfterRestart(t *testing.T) {
	ctx := within(t, patience)
	home := startPeer(t, tcp, nil)
	for limit, limits := range map[tasklet.LimitName]tasklet.Limits{tasklet.LimitTasklets: {Tasklets: 1}, tasklet.LimitHeld: {Continuations: 70 << 20}} {
		t.Run(string(limit), func(t *testing.T) {
			dir := t.TempDir()
			start := func() *peer {
				p := must[*peer](t)(newPeer(dir, tcp, &tasklet.Options{DataDir: dir, CacheDir: cache, AcceptAny: true, Limits: limits}))
				t.Cleanup(p.close)
				must[p2p.ID](t)(home.node.Connect(ctx, p.node.Addrs()[0]))
				return p
			}
			host := start()
			one, two := spawn(ctx, t, home, "zoo", "hoard", "16"), spawn(ctx, t, home, "zoo", "hoard", "16")
			if err := one.Move(ctx, host.id()); err != nil {
				t.Fatal(err)
			}
			host.close()
			host = start()
			if err := two.Move(ctx, host.id()); !exceeds(err, limit, host) {
				t.Errorf("the second: %v", err)
			}
			if err := one.Kill(ctx); err != nil {
				t.Fatal(err)
			}
			if err := two.Move(ctx, host.id()); err != nil {
				t.Errorf("when the first has ended: %v", err)
			}
		})
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
