package tasklet_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// startAt starts a peer that keeps all in dir.
func startAt(t testing.TB, dir string, listen []string) *peer {
	t.Helper()
	p := must[*peer](t)(newPeer(dir, listen, &tasklet.Options{DataDir: dir, CacheDir: cache, AcceptAny: true, Functions: functions}))
	t.Cleanup(p.close)
	return p
}

// address is where a peer listens, to start it there again.
func (p *peer) address() []string {
	return []string{strings.Split(p.node.Addrs()[0], "/p2p/")[0]}
}

// A program that talks on channels all the time is suspended and resumed, here
// and at another peer, and loses and doubles nothing.
func TestSuspend(t *testing.T) {
	ctx := within(t, patience)
	a, b := startAt(t, t.TempDir(), both), startAt(t, t.TempDir(), both)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	progress, end := talk(ctx, t, a, b)
	tl := must[*tasklet.Tasklet](t)(a.Spawn(ctx, build(t, "zoo"), "travel"))
	for i := range 6 {
		await(ctx, t, progress, progress.Load()+50)
		if err := tl.Suspend(ctx); err != nil {
			t.Fatal(err)
		}
		if err := tl.Suspend(ctx); err != nil {
			t.Errorf("suspended twice: %v", err)
		}
		host := []*peer{a, b}[i%2]
		if host.Live(tl.ID()) {
			t.Error("it runs")
		}
		eventually(ctx, t, "the word of it", func() bool { return look(t, tl).State == tasklet.Suspended })
		if err := tl.Move(ctx, b.id()); host == a && !errors.Is(err, tasklet.ErrSuspended) {
			t.Errorf("move of a suspended tasklet: %v", err)
		}
		now := progress.Load()
		if err := tl.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if err := tl.Resume(ctx); err != nil {
			t.Errorf("resumed twice: %v", err)
		}
		await(ctx, t, progress, now+50)
		if err := tl.Move(ctx, []*peer{b, a}[i%2].id()); err != nil {
			t.Fatal(err)
		}
	}
	end()
	wantExit(ctx, t, tl)
}

// A peer that is closed in good order and started again has its tasklets as
// they were: those that ran go on, those that were suspended are.
func TestRestart(t *testing.T) {
	ctx := within(t, patience)
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := startAt(t, dirs[0], both), startAt(t, dirs[1], tcp)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	wasm := build(t, "plain")
	lines := map[tasklet.ID]int{} // that each writes
	spawn := func(then func(*tasklet.Tasklet) error) *tasklet.Tasklet {
		for n := 1000; ; n *= 2 { // on a slow machine it ends before
			tl := must[*tasklet.Tasklet](t)(a.Spawn(ctx, wasm, fmt.Sprint(n)))
			eventually(ctx, t, "some output", func() bool { return strings.Contains(output(t, tl), "10\n") })
			if err := then(tl); err == nil {
				lines[tl.ID()] = n
				return tl
			} else if !errors.Is(err, tasklet.ErrExited) {
				t.Fatal(err)
			}
		}
	}
	asleep := spawn(func(tl *tasklet.Tasklet) error { return tl.Suspend(ctx) })
	busy := must[*tasklet.Tasklet](t)(a.Spawn(ctx, build(t, "zoo"), "forever"))
	away := spawn(func(tl *tasklet.Tasklet) error { return tl.Move(ctx, b.id()) })
	home := spawn(func(*tasklet.Tasklet) error { return nil })
	listen := b.address()
	a.close()
	b.close()
	a, b = startAt(t, dirs[0], both), startAt(t, dirs[1], listen)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	find := func(tl *tasklet.Tasklet) *tasklet.Tasklet {
		return must[*tasklet.Tasklet](t)(a.Find(string(tl.ID())))
	}
	home, away, asleep, busy = find(home), find(away), find(asleep), find(busy)
	if look(t, asleep).State != tasklet.Suspended {
		t.Errorf("what was suspended is %+v", look(t, asleep))
	}
	if err := asleep.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	for _, tl := range []*tasklet.Tasklet{home, away, asleep} {
		if status, err := tl.Wait(ctx); status != 7 || err != nil {
			t.Errorf("exit status %d, %v", status, err)
		}
		got := string(must[[]byte](t)(io.ReadAll(must[io.ReadCloser](t)(tl.Output(ctx, true)))))
		var want strings.Builder
		sum := 0
		for i := range lines[tl.ID()] {
			fmt.Fprintln(&want, i)
			sum += i * i
		}
		fmt.Fprintln(&want, "sum", sum)
		if got != want.String() {
			t.Errorf("output is wrong:\n%.2000s", got)
		}
	}
	if err := busy.Kill(ctx); err != nil {
		t.Error(err)
	}
	// What ended stays known.
	a.close()
	a = startAt(t, dirs[0], both)
	if status, err := find(home).Wait(ctx); status != 7 || err != nil {
		t.Errorf("after another restart: %d, %v", status, err)
	}
	if _, err := find(busy).Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
		t.Errorf("after another restart: %v", err)
	}
}

// After a crash a tasklet goes on from its last checkpoint, and what it wrote is
// there once.
func TestCrashOfPeer(t *testing.T) {
	ctx := within(t, patience)
	p := startProcess(t, true, "")
	file := programFile(t, "plain")
	fresh := must[answer](t)(p.ask(ctx, "spawn", file, "1000000")).Value
	saved := must[answer](t)(p.ask(ctx, "spawn", file, "1000000")).Value
	p.counted(ctx, fresh, 50)
	before := p.counted(ctx, saved, 200)
	if _, err := p.ask(ctx, "checkpoint", saved); err != nil {
		t.Fatal(err)
	}
	p.counted(ctx, saved, before+50)
	p.settings.Checks = 100 * time.Millisecond
	p.kill()
	p.start()
	p.counted(ctx, fresh, 400)
	before = p.counted(ctx, saved, 400)
	p.kill()
	p.start()
	p.counted(ctx, saved, before+200)
	// In good order, it stays as it is.
	p.finish()
	p.start()
	p.counted(ctx, saved, before+300)
}

// The time that a tasklet was suspended passes for its timers, clocks and
// deadlines, whatever moves are in between.
func TestTimeWhileSuspended(t *testing.T) {
	ctx := within(t, patience)
	a, b := startAt(t, t.TempDir(), tcp), startAt(t, t.TempDir(), tcp)
	must[p2p.ID](t)(a.node.Connect(ctx, b.node.Addrs()[0]))
	tl := spawn(ctx, t, a, "zoo", "clock", "3h")
	for i, host := range []*peer{a, b} {
		if err := tl.Suspend(ctx); err != nil {
			t.Fatal(err)
		}
		host.Backdate(tl.ID(), time.Duration(i+1)*time.Hour)
		if err := tl.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if host == a {
			if err := tl.Move(ctx, b.id()); err != nil {
				t.Fatal(err)
			}
			if got := output(t, tl); got != "started\n" {
				t.Errorf("after an hour, output %q", got)
			}
		}
	}
	wantExit(ctx, t, tl)
	if got := output(t, tl); !strings.HasSuffix(got, "timer fired\ndeadline passed\nmonotonic 3h0m0s\n") {
		t.Errorf("output %q", got)
	}
}

func TestSuspendErrors(t *testing.T) {
	ctx := within(t, patience)
	bare := startPeer(t, tcp, nil)
	tl := spawn(ctx, t, bare, "zoo", "forever")
	for what, err := range map[string]error{"suspend": tl.Suspend(ctx), "checkpoint": tl.Checkpoint(ctx)} {
		if !errors.Is(err, tasklet.ErrNoDisk) {
			t.Errorf("%s without a disk: %v", what, err)
		}
	}
	if err := tl.Decide(ctx, true); !errors.Is(err, tasklet.ErrNotFound) {
		t.Errorf("decide about what runs: %v", err)
	}
	p := startAt(t, t.TempDir(), tcp)
	tl = spawn(ctx, t, p, "zoo", "forever")
	if err := tl.Suspend(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tl.Kill(ctx); err != nil {
		t.Errorf("kill of a suspended tasklet: %v", err)
	}
	if _, err := tl.Wait(ctx); !errors.Is(err, tasklet.ErrKilled) {
		t.Errorf("wait: %v", err)
	}
	for what, err := range map[string]error{"suspend": tl.Suspend(ctx), "resume": tl.Resume(ctx)} {
		if !errors.Is(err, tasklet.ErrExited) {
			t.Errorf("%s of a killed tasklet: %v", what, err)
		}
	}
}

func TestDrain(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 3, tcp)
	refuses := startPeer(t, tcp, nil)
	must[p2p.ID](t)(peers[0].node.Connect(ctx, refuses.node.Addrs()[0]))
	wasm := build(t, "plain")
	var all []*tasklet.Tasklet
	for range 4 {
		all = append(all, must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, wasm, "1000000")))
	}
	if moved, err := peers[0].Drain(ctx, refuses.node.ID()); len(moved) != 0 || !errors.Is(err, tasklet.ErrRefused) {
		t.Errorf("to a peer that refuses: %v, %v", moved, err)
	}
	moved, err := peers[0].Drain(ctx, refuses.node.ID(), peers[1].node.ID(), peers[2].node.ID())
	if err != nil || len(moved) != len(all) {
		t.Errorf("%d moved, %v", len(moved), err)
	}
	at := map[string]int{}
	for _, tl := range all {
		at[look(t, tl).Host]++
		if peers[0].Here(tl.ID()) {
			t.Error("it is still here")
		}
	}
	if at[peers[1].id()] == 0 || at[peers[2].id()] == 0 {
		t.Errorf("they are at %v", at)
	}
	if _, err := peers[0].Spawn(ctx, wasm); !errors.Is(err, tasklet.ErrDraining) {
		t.Errorf("spawn: %v", err)
	}
	if err := all[0].Move(ctx, peers[0].id()); !errors.Is(err, tasklet.ErrDraining) {
		t.Errorf("back: %v", err)
	}
	for _, tl := range all {
		if err := tl.Kill(ctx); err != nil {
			t.Error(err)
		}
	}
}

// Moves that meet: each ends in one of the ways that are said here, and the
// tasklet goes on.
func TestMovesMeet(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 3, both)
	progress, end := talk(ctx, t, peers[0], peers[1])
	tl := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, build(t, "zoo"), "travel"))
	var done atomic.Int32
	results := make(chan error, 60)
	for i := range 60 { // faster than they finish, and to and fro
		go func() {
			results <- tl.Move(ctx, peers[i%3].id())
			done.Add(1)
		}()
	}
	made := 0
	for range cap(results) {
		switch err := <-results; {
		case err == nil:
			made++
		case errors.Is(err, tasklet.ErrSelf): // another was first
		default:
			t.Errorf("move: %v", err)
		}
	}
	here := 0
	for _, p := range peers {
		if p.Live(tl.ID()) {
			here++
		}
	}
	if here != 1 || made == 0 {
		t.Errorf("after %d moves it is at %d peers", made, here)
	}
	await(ctx, t, progress, progress.Load()+50)
	end()
	wantExit(ctx, t, tl)

	// Two cross each other; and some exit on the way.
	wasm := build(t, "plain")
	for n := range 10 {
		x := must[*tasklet.Tasklet](t)(peers[0].Spawn(ctx, wasm, fmt.Sprint(n)))
		y := must[*tasklet.Tasklet](t)(peers[1].Spawn(ctx, wasm, fmt.Sprint(n)))
		go func() { results <- x.Move(ctx, peers[1].id()) }()
		go func() { results <- y.Move(ctx, peers[0].id()) }()
		for range 2 {
			if err := <-results; err != nil && !errors.Is(err, tasklet.ErrExited) {
				t.Errorf("move: %v", err)
			}
		}
		for _, tl := range []*tasklet.Tasklet{x, y} {
			if status, err := tl.Wait(ctx); status != 7 || err != nil {
				t.Errorf("exit status %d, %v", status, err)
			}
		}
	}
}
