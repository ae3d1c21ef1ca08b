package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// full reports whether an open is refused because of that limit.
func full(err error, limit tasklet.LimitName) bool {
	l := tasklet.LimitOf(err)
	return errors.Is(err, channel.ErrLimit) && l != nil && l.Limit == limit
}

// mostGoroutines returns the highest number of goroutines since it was called.
func mostGoroutines() (most func() int) {
	var highest atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			highest.Store(max(highest.Load(), int64(runtime.NumGoroutine())))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() int {
		close(stop)
		<-stopped
		return int(highest.Load())
	}
}

// Programs of one other peer open as many channels as they may, at once. Their
// host searches for a few at a time, and its own channels work meanwhile.
func TestChannelsOfPrograms(t *testing.T) {
	ctx := within(t, patience)
	peers := startPeers(t, 4, tcp)
	host, stranger := peers[0], peers[1].id()
	before, most := runtime.NumGoroutine(), mostGoroutines()
	var programs []tasklet.Caller
	for n := range tasklet.MaxChannelsOfPeer / tasklet.MaxChannels {
		c := host.NewCallerOf(tasklet.ID(fmt.Sprintf("%032x", n)), stranger)
		programs = append(programs, c)
		defer c.Leave()
		for i := range tasklet.MaxChannels {
			if err := c.Open(channel.Name(fmt.Sprint("channel", n, "-", i))); err != nil {
				t.Fatalf("channel %d of program %d: %v", i, n, err)
			}
		}
	}
	own := make(chan error, 1)
	go func() { own <- open(t, host, "its own").Send(ctx, 7) }()
	if got, err := open(t, peers[2], "its own").Receive(ctx); got != 7 || err != nil {
		t.Errorf("the host's own channel: %d, %v", got, err)
	}
	if err := <-own; err != nil {
		t.Error(err)
	}
	if grown := most() - before; grown > 3000 {
		t.Errorf("there were up to %d goroutines more than before", grown)
	} else {
		t.Logf("%d goroutines more, for %d channels", grown, tasklet.MaxChannelsOfPeer)
	}

	if err := programs[0].Open("one more"); !full(err, tasklet.LimitChannels) || tasklet.LimitOf(err).Max != tasklet.MaxChannels {
		t.Errorf("one more of a program: %v", err)
	}
	if err := programs[0].Open("channel0-7"); err != nil {
		t.Errorf("one that is open: %v", err)
	}
	another := host.NewCallerOf(tasklet.ID(fmt.Sprintf("%032x", 99)), stranger)
	defer another.Leave()
	if err := another.Open("one more"); !full(err, tasklet.LimitChannels) || tasklet.LimitOf(err).Of != stranger {
		t.Errorf("one more of the peer: %v", err)
	}
	programs[0].Leave()
	if err := another.Open("one more"); err != nil {
		t.Errorf("when a program has left its channels: %v", err)
	}
}

// All programs together leave room for the peer's own channels.
func TestChannelsOfAllPrograms(t *testing.T) {
	if tasklet.MaxChannelsOfPrograms >= network.MaxChannels {
		t.Error("there is no room for others")
	}
	host := startPeer(t, tcp, nil)
	one, other := host.NewCaller(good().ID), host.NewCaller(good().ID)
	defer other.Leave()
	if err := one.Count(tasklet.MaxChannelsOfPrograms); err != nil {
		t.Fatal(err)
	}
	if err := other.Open("one more"); !full(err, tasklet.LimitAllChannels) {
		t.Errorf("one more: %v", err)
	}
	open(t, host, "its own").Leave()
	one.Count(-1)
	if err := other.Open("one more"); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

// A program that asks to be moved to 5,000 peers that nobody knows has one looked
// for at a time.
func TestLookupsOfAProgram(t *testing.T) {
	const moves = 5000
	peers := startPeers(t, 4, tcp)
	before, most := runtime.NumGoroutine(), mostGoroutines()
	c := peers[0].NewCaller(good().ID)
	for n := range moves {
		c.Begin(uint64(n+1), abi.KindMove, abi.AppendString(nil, fmt.Sprint("nobody-", n)))
	}
	c.Withdraw()
	if grown := most() - before; grown > moves+500 { // each waits in a goroutine, and its host refuses more than it may have requests
		t.Errorf("there were up to %d goroutines more than before", grown)
	} else {
		t.Logf("%d goroutines more", grown)
	}
}

// Programs have a few peers looked for at a time, and the outcome is kept.
func TestLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var finding, most, found atomic.Int64
		nobody := errors.New("nobody")
		lookUp := tasklet.LookUp(func(ctx context.Context, text string) (p2p.ID, error) {
			defer finding.Add(-1)
			now := finding.Add(1)
			most.Store(max(most.Load(), now))
			found.Add(1)
			select {
			case <-time.After(time.Second):
				return p2p.ID(text), nobody
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		var all sync.WaitGroup
		for n := range 5 * tasklet.MaxLookups {
			all.Go(func() {
				if id, err := lookUp(t.Context(), fmt.Sprint(n)); id != p2p.ID(fmt.Sprint(n)) || err != nobody {
					t.Errorf("%q, %v", id, err)
				}
			})
		}
		all.Wait()
		if most.Load() != tasklet.MaxLookups {
			t.Errorf("%d were looked for at a time; want %d", most.Load(), tasklet.MaxLookups)
		}
		before := found.Load()
		const last = "last"
		for range 3 {
			lookUp(t.Context(), last)
		}
		if n := found.Load() - before; n != 1 {
			t.Errorf("one peer was looked for %d times", n)
		}
		time.Sleep(tasklet.LookupLifetime)
		if lookUp(t.Context(), last); found.Load() != before+2 {
			t.Error("it is not looked for again when the outcome is old")
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := lookUp(brief, "other"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := lookUp(t.Context(), "other"); err != nobody {
			t.Errorf("what was given up is taken for an outcome: %v", err)
		}
	})
}
