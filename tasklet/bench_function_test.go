package tasklet_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet"
)

// How long a move of a function takes, beside a round trip of one byte on a
// stream that is open; and how many moves are made in a second if many move.
func BenchmarkFunctionMove(b *testing.B) {
	b.Run("floor=roundtrip", func(b *testing.B) { floor(b, 1) })
	start := func(b *testing.B, n int) (peers []*peer, tasklets []*tasklet.Tasklet) {
		peers = functionPeers(b, 2)
		for range n {
			tl := must[*tasklet.Tasklet](b)(peers[0].Go(b.Context(), count(counter{channel.Ref[int]{Name: "numbers"}, 0, 1})))
			tasklets = append(tasklets, tl)
		}
		return peers, tasklets
	}
	b.Run("one", func(b *testing.B) {
		peers, tasklets := start(b, 1)
		for i := 0; b.Loop(); i++ {
			if err := tasklets[0].Move(b.Context(), peers[(i+1)%2].id()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		const n = 64
		peers, tasklets := start(b, n)
		var next atomic.Int64
		b.SetParallelism(n / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			tl := tasklets[int(next.Add(1)-1)%n]
			for i := 0; pb.Next(); i++ {
				if err := tl.Move(b.Context(), peers[(i+1)%2].id()); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "moves/s")
	})
}

var waits = tasklet.Func("waits", func(ctx context.Context, self *tasklet.Self, c *channel.Ref[int]) error {
	numbers, err := c.Open(ctx, self)
	if err != nil {
		return err
	}
	_, err = numbers.Receive(ctx)
	return err
})

// idles receives, and tells of each number, resting meanwhile or not.
type idle struct {
	Channel, Tells channel.Ref[int]
	Rests          bool
	N              int
}

// told counts what idles has received.
var told atomic.Int64

var idles = tasklet.Func("idles", func(ctx context.Context, self *tasklet.Self, i *idle) error {
	space := channel.Space(self)
	if i.Rests {
		space = self.Parking()
	}
	numbers, err := i.Channel.Open(ctx, space)
	if err != nil {
		return err
	}
	for {
		n, err := numbers.Receive(ctx)
		if err != nil {
			return err
		}
		i.N++
		told.Add(1)
		if i.Tells.Name == "" {
			continue
		}
		tells, err := i.Tells.Open(ctx, self)
		if err != nil {
			return err
		}
		if err := tells.Send(ctx, n); err != nil {
			return err
		}
		tells.Leave()
	}
})

// What a hundred thousand functions need that each wait on a channel, a hundred
// on each, at one peer of a network of two; and how long it takes, and what they
// need at most, to have each one receive a number and wait again.
func BenchmarkFunctionsIdle(b *testing.B) {
	for _, rests := range []bool{false, true} {
		b.Run(fmt.Sprintf("rests=%v", rests), func(b *testing.B) {
			for b.Loop() {
				idleFunctions(b, rests)
			}
		})
	}
}

func idleFunctions(b *testing.B, rests bool) {
	const n = 100_000
	var names []channel.Name
	for i := range n / 100 {
		names = append(names, channel.Name(fmt.Sprint("idle ", i)))
	}
	peers := functionPeers(b, 2)
	before := resident(b)
	begin := time.Now()
	for i := range n {
		must[*tasklet.Tasklet](b)(peers[0].Go(b.Context(), idles(idle{Channel: channel.Ref[int]{Name: names[i%len(names)]}, Rests: rests})))
	}
	b.ReportMetric(time.Since(begin).Seconds()/n*1e6, "us/start")
	var channels []*channel.Channel[int]
	for _, name := range names {
		channels = append(channels, open(b, peers[0], name))
	}
	idle := func() {
		for _, c := range channels {
			for must[int](b)(c.Balance(b.Context())) != -100 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		for rests && peers[0].Parked() < n {
			time.Sleep(10 * time.Millisecond)
		}
	}
	idle()
	after := resident(b)
	b.ReportMetric(after/1e6, "resident-MB")
	b.ReportMetric((after-before)/n, "bytes/tasklet")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")

	told.Store(0)
	peak, watched := watchResident(b)
	begin = time.Now()
	for range 100 {
		for _, c := range channels {
			if err := c.Send(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
		}
	}
	for told.Load() < n {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(n/time.Since(begin).Seconds(), "wakes/s")
	idle()
	b.ReportMetric(peak()/1e6, "peak-MB")
	watched()
	b.ReportMetric(resident(b)/1e6, "again-MB")
	for _, p := range peers {
		p.close()
	}
}

// watchResident watches how much memory this process has, until it is stopped.
func watchResident(b *testing.B) (peak func() float64, stop func()) {
	var most atomic.Int64
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				most.Store(max(most.Load(), int64(residentNow(b))))
			}
		}
	})
	return func() float64 { return float64(most.Load()) }, func() { close(done); watching.Wait() }
}

// How long it takes from a send to a function, until it has answered, if it waits
// and if it rests.
func BenchmarkFunctionAnswers(b *testing.B) {
	for _, rests := range []bool{false, true} {
		b.Run(fmt.Sprintf("rests=%v", rests), func(b *testing.B) {
			peers := functionPeers(b, 2)
			peers[0].ParkAfter(0)
			must[*tasklet.Tasklet](b)(peers[0].Go(b.Context(), idles(idle{Channel: channel.Ref[int]{Name: "asks"}, Tells: channel.Ref[int]{Name: "answers"}, Rests: rests})))
			asks, answers := open(b, peers[0], "asks"), open(b, peers[0], "answers")
			for b.Loop() {
				b.StopTimer()
				for must[int](b)(asks.Balance(b.Context())) != -1 || rests && peers[0].Parked() < 1 {
					time.Sleep(100 * time.Microsecond)
				}
				b.StartTimer()
				if err := asks.Send(b.Context(), 1); err != nil {
					b.Fatal(err)
				}
				must[int](b)(answers.Receive(b.Context()))
			}
		})
	}
}

// resident returns how much memory this process has, in bytes, without what it
// could give back.
func resident(b *testing.B) float64 {
	debug.FreeOSMemory()
	return residentNow(b)
}

// residentNow is resident with what it could give back.
func residentNow(b *testing.B) float64 {
	text := string(must[[]byte](b)(os.ReadFile("/proc/self/statm")))
	pages := must[int](b)(strconv.Atoi(strings.Fields(text)[1]))
	return float64(pages * os.Getpagesize())
}

// How long a host takes to close that suspends five thousand functions to disk,
// and to have them back, beside the time to have one page on the disk.
func BenchmarkFunctionsClose(b *testing.B) {
	b.Run("floor=disk", func(b *testing.B) { diskFloor(b, 4096) })
	b.Run("close", func(b *testing.B) {
		const n = 5000
		var closing, opening time.Duration
		for b.Loop() {
			dir := b.TempDir()
			p := startAt(b, dir, tcp)
			for i := range n {
				name := channel.Name(fmt.Sprint("closes ", i%100))
				must[*tasklet.Tasklet](b)(p.Go(b.Context(), waits(channel.Ref[int]{Name: name})))
			}
			begin := time.Now()
			p.close()
			closing += time.Since(begin)
			begin = time.Now()
			p = startAt(b, dir, tcp)
			eventually(b.Context(), b, "all of them", func() bool {
				running := 0
				for _, i := range p.List() {
					if i.State == tasklet.Running {
						running++
					}
				}
				return running == n
			})
			opening += time.Since(begin)
			p.close()
		}
		b.ReportMetric(closing.Seconds()/float64(b.N), "s/close")
		b.ReportMetric(opening.Seconds()/float64(b.N), "s/open")
	})
}
