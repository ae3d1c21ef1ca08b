package tasklet_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
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

// What a hundred thousand functions need that each wait on a channel, a hundred
// on each, at one peer of a network of two.
func BenchmarkFunctionsIdle(b *testing.B) {
	const n = 100_000
	var names []channel.Name
	for i := range n / 100 {
		names = append(names, channel.Name(fmt.Sprint("idle ", i)))
	}
	for b.Loop() {
		peers := functionPeers(b, 2)
		before := resident(b)
		begin := time.Now()
		for i := range n {
			must[*tasklet.Tasklet](b)(peers[0].Go(b.Context(), waits(channel.Ref[int]{Name: names[i%len(names)]})))
		}
		b.ReportMetric(time.Since(begin).Seconds()/n*1e6, "us/start")
		for _, name := range names {
			c := open(b, peers[0], name)
			for { // until all hundred wait
				if waiting := must[int](b)(c.Balance(b.Context())); waiting == -100 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		after := resident(b)
		b.ReportMetric(after/1e6, "resident-MB")
		b.ReportMetric((after-before)/n, "bytes/tasklet")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.StackInuse)/n, "stack-bytes/tasklet")
		for _, p := range peers {
			p.close()
		}
	}
}

// resident returns how much memory this process has, in bytes, without what it
// could give back.
func resident(b *testing.B) float64 {
	debug.FreeOSMemory()
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
