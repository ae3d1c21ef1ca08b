package peertest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest"
	"github.com/dstackless/dstackless/peertest/guests"
	"github.com/dstackless/dstackless/tasklet"
)

const (
	// maxResident is how much memory the victim's process may have, with the limits
	// of victimLimits. Attacks of 5 s stay below it. One of 30 s was seen to exceed
	// it, with 1,529 MiB: the bound does not hold yet for longer attacks.
	maxResident = 1 << 30
	// slowdown is how many times as long as without the attackers 99 of 100 honest
	// operations may take.
	slowdown = 10
	// attackPause lies between two actions of an attacker.
	attackPause = 20 * time.Millisecond
)

// victimLimits are those of a peer that lets others bring tasklets, and has two
// cores.
var victimLimits = tasklet.Limits{Memory: 64 << 20, CPU: 20 * time.Second, Tasklets: 16, Continuations: 128 << 20}

// allowance is how long 99 of 100 honest operations may take in any case: on a
// machine that does other things as well, few operations and little time say
// nothing.
var allowance = map[string]time.Duration{
	opSend:   5 * time.Second,
	opLeave:  30 * time.Second,
	opReturn: 30 * time.Second,
	opFetch:  90 * time.Second,
}

// Sixty-four strangers on sixteen addresses, two accepted peers and a member of a
// channel attack a peer in all ways at once. Eight honest peers use it meanwhile, and
// lose nothing but time; the attacked peer's memory is bounded, and in the end it
// can be closed.
//
// Honest operations are measured before the attack, too.
func TestHostileSwarm(t *testing.T) {
	if !*long || raceDetector {
		t.Skip("-long, without the race detector: the bound on memory does not hold yet")
	}
	seed := *firstSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 40)
	}
	t.Logf("seed %d", seed)
	compiled := filepath.Join(t.TempDir(), "compiled")
	wasm, err := guests.Build("testdata/journey", compiled)
	if err != nil {
		t.Fatal(err)
	}
	crowd := startCrowd(t, wasm, compiled)
	intruders := []*intruder{startIntruder(t), startIntruder(t)}
	member := &liar{node: startNode(t), name: talkName(0)}

	var accept []string
	for _, p := range crowd.peers {
		accept = append(accept, p.ID())
	}
	for _, i := range intruders {
		accept = append(accept, i.node.ID().String())
	}
	victim := peertest.StartProcess(t, &peertest.ProcessOptions{DataDir: dataDir(t, compiled), Accept: accept, Limits: victimLimits})
	crowd.meet(victim)

	once, cancel := context.WithCancel(t.Context())
	cancel()
	crowd.live(once, "first", false) // what is done for the first time takes longer

	calm, cancel := context.WithTimeout(t.Context(), max(2*time.Second, *swarmTime/5))
	defer cancel()
	before := crowd.live(calm, "calm", false)
	quiet := memory(t, victim)

	attack, stop := context.WithCancel(t.Context())
	defer stop()
	a := startAttackers(t, attack, seed, victim, intruders, member)
	attacked, cancel := context.WithTimeout(t.Context(), *swarmTime)
	defer cancel()
	during := crowd.live(attacked, "attacked", true)
	stop()
	a.wait(t)

	peak, err := victim.PeakResident()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	after := memory(t, victim)
	t.Logf("memory of the victim: %d MiB before, %d MiB at most, %d MiB after", quiet>>20, peak>>20, after>>20)
	if peak > maxResident {
		t.Errorf("the victim had %d MiB of memory; want %d at most", peak>>20, maxResident>>20)
	}
	for _, kind := range []string{opSend, opSendLied, opLeave, opReturn, opFetch} {
		was, is := percentile99(before[kind]), percentile99(during[kind])
		t.Logf("%-12s %5d in %8v before, %5d in %8v attacked", kind, len(before[kind]), was.Round(time.Millisecond), len(during[kind]), is.Round(time.Millisecond))
		if limit := max(slowdown*was, allowance[kind]); kind != opSendLied && is > limit {
			t.Errorf("%s: 99 of 100 took up to %v while attacked, %v before; want %v at most", kind, is, was, limit)
		}
	}
	crowd.check()

	ctx := within(t, time.Minute)
	if err := exchange(t, open(t, victim, "last"), open(t, crowd.peers[0], "last"), time.Minute); err != nil {
		t.Errorf("the victim does not answer: %v", err)
	}
	if list, err := victim.Tasklets(ctx); err != nil {
		t.Errorf("the victim's tasklets: %v", err)
	} else {
		t.Logf("the victim knows %d tasklets", len(list))
	}
	start := time.Now()
	victim.Close() // an error fails the test
	t.Logf("the victim was closed in %v", time.Since(start).Round(time.Millisecond))
}

// attackers are all that attack a victim, side by side.
type attackers struct {
	swarm *peertest.Swarm
	work  sync.WaitGroup

	mu     sync.Mutex
	counts map[string]*attackCount
}

// An attackCount tells how far an attack got.
type attackCount struct {
	done, refused, failed int
	last                  string // why the victim refused, or how it failed
}

func startAttackers(t *testing.T, ctx context.Context, seed uint64, victim *peertest.Process, intruders []*intruder, member *liar) *attackers {
	t.Helper()
	a := &attackers{counts: map[string]*attackCount{}}
	a.swarm = peertest.StartSwarm(t, victim.Addrs()[0], &peertest.SwarmOptions{Pause: attackPause})
	stream := uint64(0)
	repeat := func(name string, attack func(context.Context, *rand.Rand) error) {
		stream++
		r := rand.New(rand.NewPCG(seed, stream))
		a.work.Go(func() {
			for ctx.Err() == nil {
				step, cancel := context.WithTimeout(ctx, 20*time.Second)
				err := attack(step, r)
				cancel()
				if ctx.Err() == nil {
					a.count(name, err)
				}
				rest(ctx, attackPause)
			}
		})
	}
	for n, i := range intruders {
		id, err := i.node.Connect(t.Context(), victim.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		i.victim = id
		for _, name := range slices.Sorted(maps.Keys(intrusions)) {
			repeat(fmt.Sprintf("accepted %d: %s", n, name), func(ctx context.Context, r *rand.Rand) error { return intrusions[name](i, ctx, r) })
		}
	}
	id, err := member.node.Connect(t.Context(), victim.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	member.victim = id
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		repeat("member: "+name, func(ctx context.Context, r *rand.Rand) error { return member.lie(ctx, lies[name], r) })
	}
	return a
}

func (a *attackers) count(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.counts[name]
	if c == nil {
		c = &attackCount{}
		a.counts[name] = c
	}
	var no refused
	switch {
	case err == nil:
		c.done++
		return
	case errors.As(err, &no):
		c.refused++
	default:
		c.failed++
	}
	c.last = err.Error()
}

// wait ends the attacks, and tells what each attacker did, and got.
func (a *attackers) wait(t *testing.T) {
	a.swarm.Close()
	a.work.Wait()
	for attack, n := range a.swarm.Counts() {
		t.Logf("%-36s %6d done %6d failed", "stranger: "+string(attack), n.Done, n.Failed)
	}
	for _, name := range slices.Sorted(maps.Keys(a.counts)) {
		c := a.counts[name]
		t.Logf("%-36s %6d done %6d refused %6d failed; the last: %.160q", name, c.done, c.refused, c.failed, c.last)
	}
}
