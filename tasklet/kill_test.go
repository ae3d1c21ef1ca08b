package tasklet_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// What comes of a move when a party is killed at a step of it. With a disk it is
// started again, and then there is one tasklet, which goes on; without one,
// there is what is said here.
func TestKilledAtStep(t *testing.T) {
	file := programFile(t, "plain")
	for _, c := range []kill{
		{"offer", true, "source", "nowhere"},
		{"prefetch", true, "source", "nowhere"},
		{"pages", true, "source", "nowhere"},
		{"freeze", true, "source", "nowhere"},
		{"prepare", true, "source", "waits"},
		{"prepared", true, "source", "waits"},
		{"commit", true, "destination", "waits"},
		{"forward", true, "destination", "destination"},
		{"received", false, "either", "source"}, // the move is begun again
		{"restored", false, "either", "source"},
		{"arrived", false, "destination", "nowhere"},
		{"running", false, "destination", "nowhere"},
	} {
		for _, disk := range []bool{true, false} {
			c.test(t, disk, "spawn", file, "1000000")
		}
	}
}

// The same of a function. Its state is in one message with all else.
func TestFunctionKilledAtStep(t *testing.T) {
	for _, c := range []kill{
		{"offer", true, "source", "waits"},
		{"prepared", true, "source", "waits"},
		{"commit", true, "destination", "waits"},
		{"restored", false, "either", "source"},
		{"arrived", false, "destination", "nowhere"},
		{"running", false, "destination", "nowhere"},
	} {
		c.test(t, true, "go")
	}
}

// A kill is a step of a move at which a party is killed, and what comes of it.
type kill struct {
	step   string
	source bool   // is killed, or else the destination
	where  string // the tasklet is then, with disks: at the "source", the "destination", or "either"
	bare   string // and without: as before, "nowhere", or "waits" at the destination
}

// test tests it, with or without disks, with a tasklet that the request begins.
func (c kill) test(t *testing.T, disk bool, do string, args ...string) {
	name := map[bool]string{true: "source", false: "destination"}[c.source] + " at " + c.step + map[bool]string{true: " with", false: " without"}[disk] + " disk"
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		ctx := within(t, 3*time.Minute)
		stop := map[bool]string{c.source: c.step}
		a, b := startProcess(t, disk, stop[true]), startProcess(t, disk, stop[false])
		a.connect(ctx, b)
		spawned, err := a.ask(ctx, do, args...)
		if err != nil {
			t.Fatal(err)
		}
		id := spawned.Value
		before := a.counted(ctx, id, 20)
		moved := a.begin("move", id, b.id)
		killed, other := b, a
		if c.source {
			killed, other = a, b
		}
		killed.reaches(ctx, c.step, moved)
		switch c.step { // what was said at the step has come
		case "arrived":
			other.reaches(ctx, "commit", moved)
		case "prepare":
			other.reaches(ctx, "arrived", moved)
		}
		killed.kill()
		if !disk {
			wantBare(ctx, t, c.bare, id, a, b)
			return
		}
		killed.settings.Stop = ""
		killed.start()
		killed.connect(ctx, other)
		here, there := a, b
		if c.where == "destination" {
			here, there = b, a
		}
		// Until the end of the move is confirmed, it also stands still at the source.
		eventually(ctx, t, "the tasklet at the "+c.where+" alone", func() bool {
			if c.where == "either" && b.live(ctx, id) {
				here, there = b, a
			}
			return here.live(ctx, id) && !there.live(ctx, id)
		})
		a.counted(ctx, id, before+100)
		if c.where != "either" && there.live(ctx, id) || here.live(ctx, id) && there.live(ctx, id) {
			t.Error("it runs at both, later")
		}
	})
}

// wantBare wants the outcome of a move of which one party was killed and is not
// started again.
func wantBare(ctx context.Context, t *testing.T, want, id string, a, b *process) {
	t.Helper()
	alive := func(p *process) bool { return p.cmd.ProcessState == nil }
	switch want {
	case "source":
		a.counted(ctx, id, a.counted(ctx, id, 0)+100)
	case "destination":
		eventually(ctx, t, "the tasklet at the destination", func() bool { return b.live(ctx, id) })
	case "nowhere":
		if alive(a) {
			// It was handed over: the source does not take it back.
			eventually(ctx, t, "the end of the move", func() bool {
				info, err := a.ask(ctx, "info", id)
				return err == nil && info.Info.State == "unknown" && info.Info.Host == b.id
			})
			return
		}
		eventually(ctx, t, "the end of the move", func() bool {
			_, err := b.ask(ctx, "info", id)
			return err != nil
		})
	case "waits":
		eventually(ctx, t, "the wait for the source's word", func() bool {
			info, err := b.ask(ctx, "info", id)
			return err == nil && info.Info.State == "prepared"
		})
		if b.live(ctx, id) {
			t.Error("it runs, and nobody has said that it may")
		}
		if _, err := b.ask(ctx, "decide", id, "run"); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the tasklet at the destination", func() bool { return b.live(ctx, id) })
	}
}

// Whoever is killed, and whenever: with disks there is always one tasklet, and
// its output has no gap and no repetition.
func TestKilledAnyTime(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	peers := []*process{startProcess(t, true, ""), startProcess(t, true, ""), startProcess(t, true, "")}
	origin := peers[0]
	mesh := func() {
		peers[1].connect(ctx, peers[0])
		peers[2].connect(ctx, peers[0])
		peers[2].connect(ctx, peers[1])
	}
	mesh()
	id := must[answer](t)(origin.ask(ctx, "spawn", programFile(t, "plain"), "1000000")).Value
	lines := origin.counted(ctx, id, 20)
	for range 12 {
		origin.begin("move", id, peers[random.IntN(3)].id)
		killed := peers[random.IntN(3)]
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) // the moment is what is random
		killed.kill()
		killed.start()
		mesh()
		lines = origin.counted(ctx, id, lines+20)
		eventually(ctx, t, "one live tasklet", func() bool { // it may be on its way
			live := 0
			for _, p := range peers {
				if p.live(ctx, id) {
					live++
				}
			}
			return live == 1
		})
	}
}
