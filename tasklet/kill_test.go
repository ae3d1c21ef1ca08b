package tasklet_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet"
)

// The parties of a move. The origin is the peer that started the tasklet, if it
// is none of the others.
const (
	source      = "source"
	destination = "destination"
	origin      = "origin"
)

// What else may come of a move.
const (
	either  = "either"  // the tasklet is at the source, or at the destination
	nowhere = "nowhere" // it is lost
	unheard = "unheard" // it is at the source, or lost: the destination's last word may have come
	waiting = "waiting" // it is prepared at the destination, which waits for the commit
)

// A fate is where the tasklet is in the end when a party is killed, and started
// again with its disk; and when it has none, and is not. It does not matter whether
// the other party has a disk.
type fate struct{ disk, bare string }

// A killing is what comes of a move when a party is killed as the source, or the
// destination, comes to a step, and the other one to another, if there is one.
type killing struct {
	step, at, other     string
	source, destination fate
}

// Disks are who has a disk: the source, the destination, or both. The origin has
// one if the source has.
type disks struct{ source, destination bool }

func (d disks) String() string {
	return map[disks]string{
		{true, true}: "with disks", {}: "without disks",
		{true, false}: "with a disk at the source", {false, true}: "with a disk at the destination",
	}[d]
}

var long = flag.Bool("long", false, "kill and silence the parties of moves at each step in each combination of disks, not only where most depends on it")

// decisive are the steps from the time when the destination has everything to
// the time when the tasklet is its own.
var decisive = []string{"prepare", "prepared", "commit", "arrived"}

// A destination that is started again soon may get the tasklet even so: then
// the move was begun again.
var (
	programKillings = []killing{
		{"offer", source, "", fate{source, nowhere}, fate{either, source}},
		{"prefetch", source, "", fate{source, nowhere}, fate{either, source}},
		{"pages", source, "", fate{source, nowhere}, fate{either, source}},
		{"freeze", source, "", fate{source, nowhere}, fate{either, source}},
		{"prepare", source, "arrived", fate{source, waiting}, fate{either, unheard}},
		{"prepared", source, "", fate{source, waiting}, fate{destination, nowhere}},
		{"commit", source, "", fate{destination, waiting}, fate{destination, nowhere}},
		{"forward", source, "", fate{destination, destination}, fate{destination, nowhere}},

		{"received", destination, "", fate{}, fate{either, source}},
		{"restored", destination, "", fate{}, fate{either, source}},
		{"arrived", destination, "commit", fate{}, fate{destination, nowhere}},
		{"running", destination, "", fate{}, fate{destination, nowhere}},
	}
	// All of a function goes out with the offer.
	functionKillings = []killing{
		{"offer", source, "arrived", fate{source, waiting}, fate{either, unheard}},
		{"prepare", source, "arrived", fate{source, waiting}, fate{either, unheard}},
		{"prepared", source, "", fate{source, waiting}, fate{destination, nowhere}},
		{"commit", source, "", fate{destination, waiting}, fate{destination, nowhere}},
		{"forward", source, "", fate{destination, destination}, fate{destination, nowhere}},

		{"restored", destination, "", fate{}, fate{either, source}},
		{"arrived", destination, "commit", fate{}, fate{destination, nowhere}},
		{"running", destination, "", fate{}, fate{destination, nowhere}},
	}
)

func TestKilledAtStep(t *testing.T) {
	testKillings(t, programKillings, "spawn", programFile(t, "plain"), "1000000")
}

func TestFunctionKilledAtStep(t *testing.T) { testKillings(t, functionKillings, "go") }

// testKillings tests all of a table with a tasklet that the request begins.
func testKillings(t *testing.T, table []killing, do string, args ...string) {
	t.Parallel()
	for _, k := range table {
		for _, d := range []disks{{true, true}, {}, {true, false}, {false, true}} {
			mixed := d.source != d.destination
			if mixed && !*long && !slices.Contains(decisive, k.step) {
				continue
			}
			k.test(t, destination, k.destination, d, do, args...)
			if k.at == destination {
				continue
			}
			k.test(t, source, k.source, d, do, args...)
			if !mixed || *long {
				k.test(t, origin, fate{destination, destination}, d, do, args...)
			}
		}
	}
}

// A scene is a move that has come to where it is disturbed.
type scene struct {
	a, b, o *process // source, destination and origin, which may be the source
	id      string
	lines   int // of output, before
	stopped *process
	moved   <-chan answer
}

// play brings a move to the step. The origin may be a party of its own.
func (k killing) play(ctx context.Context, t *testing.T, third bool, d disks, do string, args ...string) *scene {
	t.Helper()
	stop := map[string]string{k.at: k.step}
	s := &scene{a: startProcess(t, d.source, stop[source]), b: startProcess(t, d.destination, stop[destination])}
	s.a.connect(ctx, s.b)
	s.o = s.a
	if third {
		s.o = startProcess(t, d.source, "")
		s.o.connect(ctx, s.a)
		s.o.connect(ctx, s.b)
	}
	s.id = must[answer](t)(s.o.ask(ctx, do, args...)).Value
	if third {
		must[answer](t)(s.o.ask(ctx, "move", s.id, s.a.id))
	}
	s.lines = s.o.counted(ctx, s.id, 20)
	s.moved = s.a.begin("move", s.id, s.b.id)
	other := s.b
	if s.stopped = s.a; k.at == destination {
		s.stopped, other = s.b, s.a
	}
	s.stopped.reaches(ctx, k.step, s.moved)
	if k.other != "" {
		other.reaches(ctx, k.other, s.moved)
	}
	return s
}

// test kills a party.
func (k killing) test(t *testing.T, party string, f fate, d disks, do string, args ...string) {
	t.Run(fmt.Sprintf("%s at %s %v", party, k.step, d), func(t *testing.T) {
		t.Parallel()
		ctx := within(t, patience)
		s := k.play(ctx, t, party == origin, d, do, args...)
		a, b, o, id := s.a, s.b, s.o, s.id
		parties := map[string]*process{source: a, destination: b, origin: o}
		killed := parties[party]
		killed.kill()
		if s.stopped != killed {
			must[answer](t)(s.stopped.ask(ctx, "pass"))
		}
		if party == origin { // who has no part in the move
			if a := <-s.moved; a.Error != "" {
				t.Fatalf("the move failed: %s", a.Error)
			}
		}
		if killed.settings.Data == "" {
			wantBare(ctx, t, f.bare, id, a, b)
			return
		}
		killed.settings.Stop = ""
		killed.start()
		for _, p := range parties {
			if p != killed {
				killed.connect(ctx, p)
			}
		}
		// Until the end of the move is confirmed, it also stands still at the source.
		alone := func() bool {
			atSource, atDestination := a.live(ctx, id), b.live(ctx, id)
			return atSource != atDestination && (f.disk == either || f.disk == source == atSource)
		}
		eventually(ctx, t, "the tasklet at the "+f.disk+" alone", alone)
		o.counted(ctx, id, s.lines+100)
		eventually(ctx, t, "the tasklet at the "+f.disk+" alone, later", alone)
		if b.live(ctx, id) {
			moves := must[answer](t)(b.ask(ctx, "info", id)).Info.Moves
			if n := len(moves); n == 0 || moves[n-1].From != a.id || moves[n-1].To != b.id {
				t.Errorf("its moves are %+v", moves)
			}
		}
	})
}

// wantBare wants the outcome of a move of which one party was killed and is not
// started again.
func wantBare(ctx context.Context, t *testing.T, want, id string, a, b *process) {
	t.Helper()
	alive := func(p *process) bool { return p.cmd.ProcessState == nil }
	switch want {
	case source:
		a.counted(ctx, id, a.counted(ctx, id, 0)+100)
	case destination:
		eventually(ctx, t, "the tasklet at the destination", func() bool {
			return b.live(ctx, id) && !(alive(a) && a.live(ctx, id))
		})
	case nowhere, unheard:
		if alive(a) {
			// It was handed over: the source does not take it back.
			before := a.counted(ctx, id, 0)
			eventually(ctx, t, "the end of the move", func() bool {
				info, err := a.ask(ctx, "info", id)
				return err == nil && info.Info.State == "unknown" && info.Info.Host == b.id ||
					want == unheard && a.counted(ctx, id, 0) > before+100
			})
			return
		}
		eventually(ctx, t, "the end of the move", func() bool {
			_, err := b.ask(ctx, "info", id)
			return err != nil
		})
	case waiting:
		waits := func() bool {
			info, err := b.ask(ctx, "info", id)
			return err == nil && info.Info.State == "prepared"
		}
		eventually(ctx, t, "the wait for the source's word", waits)
		if b.settings.Data != "" {
			b.kill()
			b.start()
			eventually(ctx, t, "the wait for the source's word, after a restart", waits)
		}
		if b.live(ctx, id) {
			t.Error("it runs, and nobody has said that it may")
		}
		must[answer](t)(b.ask(ctx, "decide", id, "run"))
		eventually(ctx, t, "the tasklet at the destination", func() bool { return b.live(ctx, id) })
	}
}

// The tables have all steps of a move.
func TestKillingsAreAll(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	var mu sync.Mutex
	var came []string
	for i, at := range []string{source, destination} {
		peers[i].OnStep(func(step string) {
			mu.Lock()
			defer mu.Unlock()
			if what := at + " at " + step; !slices.Contains(came, what) {
				came = append(came, what)
			}
		})
	}
	for _, c := range []struct {
		start func() (*tasklet.Tasklet, error)
		table []killing
	}{
		{func() (*tasklet.Tasklet, error) { return peers[0].Spawn(ctx, build(t, "plain"), "1000000") }, programKillings},
		{func() (*tasklet.Tasklet, error) { return peers[0].Go(ctx, prints(0)) }, functionKillings},
	} {
		came = nil
		if err := must[*tasklet.Tasklet](t)(c.start()).Move(ctx, peers[1].id()); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, k := range c.table {
			want = append(want, k.at+" at "+k.step)
		}
		mu.Lock()
		slices.Sort(came)
		slices.Sort(want)
		if !slices.Equal(came, want) {
			t.Errorf("the steps are %q, and the table has %q", came, want)
		}
		mu.Unlock()
	}
}

// Whoever asked for a move is lost before it was made: it is given up, or made,
// and the tasklet goes on.
func TestAskerKilled(t *testing.T) {
	file := programFile(t, "plain")
	for _, step := range []string{"offer", "prepared", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, patience)
			o, a, b := startProcess(t, true, ""), startProcess(t, true, step), startProcess(t, true, "")
			for _, p := range []*process{a, b} {
				o.connect(ctx, p)
			}
			a.connect(ctx, b)
			id := must[answer](t)(o.ask(ctx, "spawn", file, "1000000")).Value
			must[answer](t)(o.ask(ctx, "move", id, a.id))
			before := o.counted(ctx, id, 20)
			moved := o.begin("move", id, b.id)
			a.reaches(ctx, step, moved)
			o.kill()
			must[answer](t)(a.ask(ctx, "pass"))
			eventually(ctx, t, "one live tasklet", func() bool {
				return a.live(ctx, id) != b.live(ctx, id) && (step != "commit" || b.live(ctx, id))
			})
			o.start()
			o.connect(ctx, a)
			o.connect(ctx, b)
			o.counted(ctx, id, before+100)
		})
	}
}

// A destination at which the tasklet has been before is killed when it has all of it
// again. It does not confirm the move before it has heard of the commit.
func TestKilledWhereItWasBefore(t *testing.T) {
	t.Parallel()
	ctx := within(t, patience)
	a, b := startProcess(t, true, ""), startProcess(t, true, "")
	a.connect(ctx, b)
	id := must[answer](t)(a.ask(ctx, "spawn", programFile(t, "plain"), "1000000")).Value
	must[answer](t)(a.ask(ctx, "move", id, b.id))
	must[answer](t)(b.ask(ctx, "move", id, a.id))
	b.kill()
	b.settings.Stop = "arrived"
	b.start()
	a.connect(ctx, b)
	lines := a.counted(ctx, id, 20)
	moved := a.begin("move", id, b.id)
	b.reaches(ctx, "arrived", moved)
	a.reaches(ctx, "commit", moved)
	b.kill()
	b.settings.Stop = ""
	b.start() // it knows no address of a, which knows its own
	eventually(ctx, t, "the tasklet at the destination alone", func() bool { return b.live(ctx, id) && !a.live(ctx, id) })
	a.counted(ctx, id, lines+100)
}

// Whoever is killed, and whenever: with disks there is always one tasklet, and
// its output has no gap and no repetition.
func TestKilledAnyTime(t *testing.T) {
	ctx := within(t, patience)
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
