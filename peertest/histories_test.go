package peertest_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/peertest"
	"github.com/dstackless/dstackless/tasklet"
)

var (
	seeds     = flag.Int("seeds", 1, "how many random workloads TestCarriers runs")
	firstSeed = flag.Uint64("seed", 0, "the seed of the first one, 0 for a random one")
)

// raceDetector says that it is on.
var raceDetector bool

// TestCarriers checks the rules of channels on what programs and their peers
// saw, while the programs are moved, and links are cut and parted.
func TestCarriers(t *testing.T) {
	if raceDetector {
		t.Skip("compiling the program takes a minute with the race detector")
	}
	file := filepath.Join(t.TempDir(), "carrier.wasm")
	build := exec.Command("go", "build", "-o", file, "./testdata/carrier")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first := *firstSeed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	for seed := first; seed < first+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { carriers(t, seed, wasm) })
	}
}

// carriers has two programs carry values from a channel to another.
func carriers(t *testing.T, seed uint64, wasm []byte) {
	const peers, each = 4, 30
	ctx := within(t, 3*time.Minute)
	r := rand.New(rand.NewPCG(seed, 1))
	nw := peertest.New(t, peers, &peertest.Options{Seed: seed + 1, Simulated: r.IntN(2) == 0})
	var in, out history.History[string]
	begin := time.Now()

	var running []*tasklet.Tasklet
	for i := range 2 {
		p, err := nw.Peer(i).Spawn(ctx, wasm)
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, p)
	}
	calm, stop := context.WithCancel(ctx)
	defer stop()
	var sending, receiving, moving sync.WaitGroup
	for i := range peers {
		from, to := open(t, nw.Peer(i), "in"), open(t, nw.Peer(i), "out")
		who := fmt.Sprint("peer ", i)
		sending.Go(func() {
			for seq := range each {
				if err := in.Send(ctx, who, fmt.Sprintf("%d.%d", i, seq), from.Send); err != nil && !errors.Is(err, channel.ErrInDoubt) {
					t.Errorf("%s: %v", who, err)
					return
				}
			}
		})
		receiving.Go(func() {
			for {
				if _, err := out.Receive(calm, who, to.Receive); err != nil {
					return
				}
			}
		})
	}
	// Faults and moves, while there is something to send.
	sent := make(chan struct{})
	var moves atomic.Int64
	for _, p := range running {
		r := rand.New(rand.NewPCG(seed, r.Uint64()))
		moving.Go(func() {
			for {
				select {
				case <-sent:
					return
				case <-time.After(time.Duration(r.IntN(50)) * time.Millisecond):
				}
				if err := p.Move(ctx, nw.Peer(r.IntN(peers)).ID()); err == nil {
					moves.Add(1)
				}
			}
		})
	}
	moving.Go(func() { trouble(sent, nw, r) })
	sending.Wait()
	close(sent)
	moving.Wait()
	nw.Heal()
	if err := open(t, nw.Peer(0), "in").Close(ctx); err != nil {
		t.Error(err)
	}
	for i, p := range running {
		if status, err := p.Wait(ctx); status != 0 || err != nil {
			t.Errorf("program %d ended with %d, %v", i, status, err)
		}
		calls(ctx, t, p, fmt.Sprint("program ", i), begin, &in, &out)
	}
	stop()
	receiving.Wait()
	for _, h := range []*history.History[string]{&in, &out} {
		for _, v := range h.Violations() {
			t.Error(v)
		}
		t.Logf("%v, %d moves", h, moves.Load())
	}
}

// trouble cuts and parts links until done is closed.
func trouble(done <-chan struct{}, nw *peertest.Network, r *rand.Rand) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(r.IntN(100)) * time.Millisecond):
		}
		i, j := r.IntN(nw.Len()), r.IntN(nw.Len())
		switch {
		case i == j:
		case r.IntN(4) == 0:
			nw.Partition([]int{i}, []int{j})
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			nw.Heal()
		default:
			nw.Cut(i, j)
		}
	}
}

// calls adds to the histories what a program says that it did. When that was is
// not known; it had a clock of its own.
func calls(ctx context.Context, t *testing.T, p *tasklet.Tasklet, who string, begin time.Time, in, out *history.History[string]) {
	output, err := p.Output(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		c := history.Call[string]{Who: who, Start: begin, End: time.Now(), Unbound: true}
		var what, outcome string
		if _, err := fmt.Sscan(lines.Text(), &what, &c.Value, &outcome); err != nil {
			t.Errorf("%s: %q", who, lines.Text())
			continue
		}
		switch outcome {
		case "doubt":
			c.Err = channel.ErrInDoubt
		case "failed":
			c.Err = errors.New("failed")
		}
		if c.Kind = history.Receive; what == "sent" {
			c.Kind = history.Send
			out.Add(c)
		} else {
			in.Add(c)
		}
	}
}
