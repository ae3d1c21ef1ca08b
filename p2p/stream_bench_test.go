package p2p_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

// BenchmarkEcho opens a stream, sends 64 bytes and reads them back.
func BenchmarkEcho(b *testing.B) {
	for _, listen := range loopback {
		name := "quic"
		if strings.Contains(listen, "/tcp/") {
			name = "tcp"
		}
		b.Run(name, func(b *testing.B) {
			from, to := start(b, listen), start(b, listen)
			to.Handle(echo, serveEcho)
			connect(b, from, to)
			ctx, data := within(b), make([]byte, 64)
			for b.Loop() {
				s, err := from.Open(ctx, to.ID(), echo)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Write(data); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(s, data); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}

// BenchmarkThroughput writes 128 MiB to a stream and hears that they came: to a
// resumable one, beside the floor, which is an ordinary one.
func BenchmarkThroughput(b *testing.B) {
	open := map[string]func(*p2p.Node, context.Context, p2p.ID, ...p2p.Protocol) (p2p.Stream, error){
		"floor=plain": (*p2p.Node).Open,
		"resumable":   (*p2p.Node).OpenResumable,
	}
	for name, open := range open {
		b.Run(name, func(b *testing.B) {
			const size = 128 << 20
			const sink p2p.Protocol = "/test/sink"
			from, to := start(b, loopback[1]), start(b, loopback[1])
			connect(b, from, to)
			to.Handle(sink, func(s p2p.Stream) {
				defer s.Reset()
				for {
					if _, err := io.CopyN(io.Discard, s, size); err != nil {
						return
					}
					s.Write([]byte{1})
				}
			})
			s, err := open(from, b.Context(), to.ID(), sink)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Reset()
			buf := make([]byte, 1<<20)
			b.SetBytes(size)
			for b.Loop() {
				for range size / len(buf) {
					if _, err := s.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := io.ReadFull(s, buf[:1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
