package network_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// The rendezvous of goroutines, beside that over an unbuffered Go channel of the
// same process: its timers cost every switch from goroutine to goroutine.
func BenchmarkLocal(b *testing.B) {
	p := startPeer(b)
	for _, pairs := range []int{1, 8} {
		each := func(b *testing.B, send func(int), receive func()) {
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for i := range pairs {
				n := b.N / pairs
				if i < b.N%pairs {
					n++
				}
				all.Go(func() {
					for i := range n {
						send(i)
					}
				})
				all.Go(func() {
					for range n {
						receive()
					}
				})
			}
			all.Wait()
		}
		name := fmt.Sprintf("%dx%d", pairs, pairs)
		b.Run(name+"/floor=go-channel", func(b *testing.B) {
			c := make(chan int)
			each(b, func(i int) { c <- i }, func() { <-c })
		})
		b.Run(name+"/channel", func(b *testing.B) {
			from, to := open[int](b, p, "local"), open[int](b, p, "local")
			ctx := context.Background()
			each(b, func(i int) { from.Send(ctx, i) }, func() { to.Receive(ctx) })
		})
	}
}

// A send of 64 bytes to a receiver at another peer, beside an echo of as many
// over a bare stream of the same connection.
func BenchmarkRemote(b *testing.B) {
	for _, transport := range []struct{ name, listen string }{
		{"quic", "/ip4/127.0.0.1/udp/0/quic-v1"}, {"tcp", "/ip4/127.0.0.1/tcp/0"},
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"64B", 64}, {"64KiB", 64 << 10}} {
			peers := startPeers(b, 2, transport.listen)
			for _, keeps := range []bool{false, true} {
				b.Run(transport.name+"/"+size.name+"/floor="+floor("echo", keeps), func(b *testing.B) { echo(b, peers, size.bytes, keeps) })
			}
			b.Run(transport.name+"/"+size.name+"/send", func(b *testing.B) {
				// The receiver opens first, so that it is the channel's home.
				to := open[[]byte](b, peers[1], "remote")
				agree(b.Context(), b, "remote", peers[1])
				go func() {
					for {
						if _, err := to.Receive(b.Context()); err != nil {
							return
						}
					}
				}()
				from := open[[]byte](b, peers[0], "remote")
				value := make([]byte, size.bytes)
				if err := from.Send(b.Context(), value); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					if err := from.Send(b.Context(), value); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// floor names a floor. Who receives from a channel owns what it gets; a stream
// is also read into the same memory each time, which leaves the garbage
// collector nothing to do.
func floor(name string, keeps bool) string {
	if keeps {
		return name + "-kept"
	}
	return name
}

// echo sends size bytes over a bare stream, and receives 64 at most.
func echo(b *testing.B, peers []*peer, size int, keeps bool) {
	const echo p2p.Protocol = "/echo/1.0.0"
	peers[1].node.Handle(echo, func(s p2p.Stream) {
		defer s.Close()
		buf := make([]byte, size)
		for {
			if keeps {
				buf = make([]byte, size)
			}
			if _, err := io.ReadFull(s, buf); err != nil {
				return
			}
			s.Write(buf[:min(64, len(buf))])
		}
	})
	s, err := peers[0].node.Open(b.Context(), peers[1].node.ID(), echo)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Reset()
	buf := make([]byte, size)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s.Write(buf)
		if _, err := io.ReadFull(s, buf[:min(64, len(buf))]); err != nil {
			b.Fatal(err)
		}
	}
}

// Many values under way at once to a receiver that iterates, beside a bare
// stream of the same connection that goes one way.
func BenchmarkPipelined(b *testing.B) {
	for _, transport := range []struct{ name, listen string }{
		{"quic", "/ip4/127.0.0.1/udp/0/quic-v1"}, {"tcp", "/ip4/127.0.0.1/tcp/0"},
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"64B", 64}, {"64KiB", 64 << 10}} {
			peers := startPeers(b, 2, transport.listen)
			for _, keeps := range []bool{false, true} {
				b.Run(transport.name+"/"+size.name+"/floor="+floor("stream", keeps), func(b *testing.B) { drain(b, peers, size.bytes, keeps) })
			}
			b.Run(transport.name+"/"+size.name+"/send-async", func(b *testing.B) {
				to := open[[]byte](b, peers[1], "pipelined")
				go func() {
					for _, err := range to.All(b.Context()) {
						if err != nil {
							return
						}
					}
				}()
				from := open[[]byte](b, peers[0], "pipelined")
				value := make([]byte, size.bytes)
				for range 200 { // the home moves to the receiver
					if err := from.Send(b.Context(), value); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				b.ResetTimer()
				var last *channel.Pending
				for range b.N {
					last = from.SendAsync(b.Context(), value)
				}
				if err := last.Wait(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
			})
		}
	}
}

// drain sends values over a bare stream that goes one way.
func drain(b *testing.B, peers []*peer, size int, keeps bool) {
	const drain p2p.Protocol = "/drain/1.0.0"
	done := make(chan error, 1)
	peers[1].node.Handle(drain, func(s p2p.Stream) {
		defer s.Close()
		r := bufio.NewReaderSize(s, 64<<10)
		buf := make([]byte, size)
		for range b.N {
			if keeps {
				buf = make([]byte, size)
			}
			if _, err := io.ReadFull(r, buf); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	})
	s, err := peers[0].node.Open(b.Context(), peers[1].node.ID(), drain)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Reset()
	w := bufio.NewWriterSize(s, 64<<10)
	buf := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		w.Write(buf)
	}
	w.Flush()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// What a channel costs that is open and idle, at a peer that is its home.
func BenchmarkIdle(b *testing.B) {
	p := startPeer(b)
	const n = 20_000
	var before, after runtime.MemStats
	for range b.N {
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		ends := make([]*channel.Channel[int], n)
		for i := range ends {
			ends[i] = open[int](b, p, channel.Name(fmt.Sprint("idle ", i)))
		}
		for agreed := 0; agreed < n; {
			agreed = 0
			for _, c := range p.Channels() {
				if c.Home != "" {
					agreed++
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/channel")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/n, "goroutines/channel")
		for _, c := range ends {
			c.Leave()
		}
	}
}
