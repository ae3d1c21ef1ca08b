package network_test

import (
	"context"
	"io"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

// The rendezvous of two goroutines, beside that over an unbuffered Go channel.
func BenchmarkLocal(b *testing.B) {
	b.Run("floor=go-channel", func(b *testing.B) {
		c := make(chan int)
		go func() {
			for i := range b.N {
				c <- i
			}
		}()
		for range b.N {
			<-c
		}
	})
	b.Run("channel", func(b *testing.B) {
		p := startPeer(b)
		from, to := open[int](b, p, "local"), open[int](b, p, "local")
		ctx := context.Background()
		b.ReportAllocs()
		b.ResetTimer()
		go func() {
			for i := range b.N {
				from.Send(ctx, i)
			}
		}()
		for range b.N {
			to.Receive(ctx)
		}
	})
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
			b.Run(transport.name+"/"+size.name+"/floor=echo", func(b *testing.B) {
				const echo p2p.Protocol = "/echo/1.0.0"
				peers[1].node.Handle(echo, func(s p2p.Stream) {
					defer s.Close()
					buf := make([]byte, size.bytes)
					for {
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
				buf := make([]byte, size.bytes)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					s.Write(buf)
					if _, err := io.ReadFull(s, buf[:min(64, len(buf))]); err != nil {
						b.Fatal(err)
					}
				}
			})
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
