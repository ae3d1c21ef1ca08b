package p2p_test

import (
	"io"
	"strings"
	"testing"
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
