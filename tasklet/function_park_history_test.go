package tasklet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/channel/history"
	"github.com/dstackless/dstackless/tasklet"
)

var (
	restingCalls history.History[string]
	// openReceives are the receives that go on while their functions rest, or are
	// on their way, by the function.
	openReceives sync.Map
	timesRested  atomic.Int64
)

// receivesResting receives, as receives does, and rests.
var receivesResting = tasklet.Func("receives resting", func(ctx context.Context, self *tasklet.Self, s *caller) error {
	c, err := channel.Open[string](ctx, self.Parking(), "resting calls")
	if err != nil {
		return err
	}
	for {
		began, goesOn := openReceives.Load(s.Who)
		if !goesOn {
			began = restingCalls.Receiving(context.Background(), s.Who)
			openReceives.Store(s.Who, began)
		}
		v, err := c.Receive(ctx)
		if err != nil && !errors.Is(err, channel.ErrClosed) {
			if context.Cause(ctx) == tasklet.ErrParking {
				timesRested.Add(1)
			}
			return err
		}
		openReceives.Delete(s.Who)
		began.(func(string, error))(v, err)
		if err != nil {
			return nil
		}
		s.N++
	}
})

// Functions rest, and are moved, while others send them something now and then
// and give up in between: what was seen of the channel breaks no rule.
func TestRestingHistories(t *testing.T) {
	ctx := within(t, patience)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	peers := functionPeers(t, 3)
	for _, p := range peers {
		p.ParkAfter(time.Millisecond)
	}
	restingCalls = history.History[string]{}
	const each = 100 // values
	var receivers []*tasklet.Tasklet
	for i := range 6 {
		receivers = append(receivers, must[*tasklet.Tasklet](t)(peers[i%3].Go(ctx, receivesResting(caller{Who: fmt.Sprint("receiver ", i)}))))
	}
	var senders, movers sync.WaitGroup
	sent := make(chan struct{})
	for i, p := range peers {
		c := must[*channel.Channel[string]](t)(channel.Open[string](ctx, p.space, "resting calls"))
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		senders.Go(func() {
			who := fmt.Sprint("sender ", i)
			for n := range each {
				time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
				short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(3000))*time.Microsecond)
				err := restingCalls.Send(short, who, fmt.Sprint(who, " ", n), c.Send)
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	}
	var moves atomic.Int64
	for i, tl := range receivers {
		random := rand.New(rand.NewPCG(seed, uint64(100+i)))
		movers.Go(func() {
			for {
				select {
				case <-sent:
					return
				case <-time.After(time.Duration(random.IntN(30)) * time.Millisecond):
				}
				if err := tl.Move(ctx, peers[random.IntN(3)].id()); err == nil {
					moves.Add(1)
				} else if !errors.Is(err, tasklet.ErrSelf) {
					t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	close(sent)
	movers.Wait()
	c := must[*channel.Channel[string]](t)(channel.Open[string](ctx, peers[0].space, "resting calls"))
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, tl := range receivers {
		wantExit(ctx, t, tl)
	}
	given, received := 0, 0
	for _, call := range restingCalls.Calls() {
		switch {
		case call.Err != nil:
		case call.Kind == history.Send:
			given++
		default:
			received++
		}
	}
	t.Logf("%d values of %d, %d moves, %d rests", given, 3*each, moves.Load(), timesRested.Load())
	if given == 0 || received != given || timesRested.Load() == 0 {
		t.Errorf("%d were sent and %d received", given, received)
	}
	for _, v := range restingCalls.Violations() {
		t.Error(v)
	}
}

// A twin is what restsOnTwo expects next on each of two channels.
type twin struct {
	Next [2]int
	To   int
}

// restsOnTwo receives numbers in their order on two channels at once.
var restsOnTwo = tasklet.Func("rests on two", func(ctx context.Context, self *tasklet.Self, s *twin) error {
	var both errgroup.Group
	for i := range s.Next {
		numbers, err := channel.Open[int](ctx, self.Parking(), channel.Name(fmt.Sprint("twin ", i)))
		if err != nil {
			return err
		}
		both.Go(func() error {
			for s.Next[i] < s.To {
				n, err := numbers.Receive(ctx)
				if err != nil {
					return err
				}
				if n != s.Next[i] {
					return fmt.Errorf("received %d on channel %d, want %d", n, i, s.Next[i])
				}
				s.Next[i]++
			}
			return nil
		})
	}
	err := both.Wait()
	if s.Next[0]+s.Next[1] < 2*s.To && context.Cause(ctx) != nil && errors.Is(err, context.Canceled) {
		return context.Cause(ctx)
	}
	return err
})

// A function rests in two receives, and each of them ends its rest.
func TestRestingOnTwo(t *testing.T) {
	ctx := within(t, patience)
	peers := functionPeers(t, 2)
	for _, p := range peers {
		p.ParkAfter(time.Millisecond)
	}
	const to = 100
	tl := must[*tasklet.Tasklet](t)(peers[0].Go(ctx, restsOnTwo(twin{To: to})))
	var senders sync.WaitGroup
	for i := range 2 {
		numbers := open(t, peers[i], channel.Name(fmt.Sprint("twin ", i)))
		senders.Go(func() {
			for n := range to {
				time.Sleep(time.Duration(rand.IntN(6)) * time.Millisecond)
				if n%25 == 24 && i == 0 {
					if err := tl.Move(ctx, peers[n/25%2].id()); err != nil && !errors.Is(err, tasklet.ErrSelf) {
						t.Error(err)
					}
				}
				if err := numbers.Send(ctx, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wantExit(ctx, t, tl)
	senders.Wait()
}
