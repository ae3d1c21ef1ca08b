package peertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// SwarmOptions are the settings of a [Swarm]. The zero value has them all at
// their defaults.
type SwarmOptions struct {
	// Strangers is how many hostile peers there are, each with a key of its own.
	// Default: 64.
	Strangers int

	// Addresses is how many loopback addresses they dial from: 127.0.0.2 and those
	// that follow, 250 at most. Linux has them all; other systems need aliases.
	// Default: 16.
	Addresses int

	// Attacks are what they do. Each does one of these, so that each attack comes
	// from many addresses. Default: all there are.
	Attacks []Attack

	// Pause lies between two actions of one stranger. Default: 10 ms.
	Pause time.Duration
}

// A Swarm is a number of strangers that attack one peer all at once and over and
// over, until the swarm is closed. What they hold, streams and connections, they
// hold as long as they can, the last maxHeld of each. One that loses its connection
// comes back. Make it with [StartSwarm].
type Swarm struct {
	strangers []*Stranger
	cancel    context.CancelFunc
	work      sync.WaitGroup

	mu     sync.Mutex
	counts map[Attack]SwarmCount
}

// A SwarmCount tells how far one attack got.
type SwarmCount struct {
	Done   int // actions that the victim did not refuse
	Failed int // those that it did, or that found no connection
}

// StartSwarm has strangers attack the peer at victim, a full multiaddr with TCP,
// such as the first of [Process.Addrs]. The test's Cleanup closes the swarm. That
// a stranger cannot be made is fatal to the test. Nil opts stand for the defaults.
func StartSwarm(t testing.TB, victim string, opts *SwarmOptions) *Swarm {
	t.Helper()
	var o SwarmOptions
	if opts != nil {
		o = *opts
	}
	if o.Strangers == 0 {
		o.Strangers = 64
	}
	if o.Addresses == 0 {
		o.Addresses = 16
	}
	if o.Attacks == nil {
		o.Attacks = slices.Sorted(maps.Keys(attacks))
	}
	if o.Pause == 0 {
		o.Pause = 10 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Swarm{cancel: cancel, counts: map[Attack]SwarmCount{}}
	t.Cleanup(s.Close)
	for i := range o.Strangers {
		a := o.Attacks[i%len(o.Attacks)]
		if attacks[a] == nil {
			t.Fatalf("peertest: start a swarm: there is no attack %q", a)
		}
		// Those of one attack are not those of one address.
		addr := fmt.Sprintf("127.0.0.%d", 2+(i+i/o.Addresses)%o.Addresses)
		x, err := newStranger(addr, victim)
		if err != nil {
			t.Fatalf("peertest: start a swarm: a stranger at %s: %v", addr, err)
		}
		s.strangers = append(s.strangers, x)
		s.work.Go(func() { s.attack(ctx, x, a, o.Pause) })
	}
	return s
}

// attack has a stranger do what it does until ctx ends.
func (s *Swarm) attack(ctx context.Context, x *Stranger, a Attack, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		step, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := x.connect(step)
		if err == nil || a == AttackHandshakes {
			err = attacks[a](x, step)
		}
		cancel()
		x.done++
		if ctx.Err() != nil {
			return
		}
		s.count(a, err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Swarm) count(a Attack, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[a]
	if err == nil {
		c.Done++
	} else {
		c.Failed++
	}
	s.counts[a] = c
}

// Counts tells how far each attack got.
func (s *Swarm) Counts() map[Attack]SwarmCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Close ends the attacks, and all connections. It may be called more than once.
func (s *Swarm) Close() {
	s.cancel()
	for _, x := range s.strangers {
		s.work.Go(x.close) // which ends what it is about to do
	}
	s.work.Wait()
}
