package tasklet_test

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// How long a program with a heap of 4 MiB stands still when it moves to a peer
// that has the program, beside the time to write 4 MiB to a stream.
func BenchmarkFreeze(b *testing.B) {
	const size = 4
	b.Run("floor=stream", func(b *testing.B) {
		const sink p2p.Protocol = "/sink/1.0.0"
		var nodes [2]*p2p.Node
		for i := range nodes {
			var err error
			if nodes[i], err = p2p.Start(&p2p.Options{Listen: tcp}); err != nil {
				b.Fatal(err)
			}
			defer nodes[i].Close()
		}
		nodes[1].Handle(sink, func(s p2p.Stream) {
			defer s.Close()
			buf := make([]byte, size<<20)
			for {
				if _, err := io.ReadFull(s, buf); err != nil {
					return
				}
				s.Write(buf[:1])
			}
		})
		if _, err := nodes[0].Connect(b.Context(), nodes[1].Addrs()[0]); err != nil {
			b.Fatal(err)
		}
		s, err := nodes[0].Open(b.Context(), nodes[1].ID(), sink)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Reset()
		buf := make([]byte, size<<20)
		for b.Loop() {
			s.Write(buf)
			if _, err := io.ReadFull(s, buf[:1]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("move", func(b *testing.B) {
		peers := startPeers(b, 2, tcp)
		t, err := peers[0].Spawn(b.Context(), build(b, "zoo"), "hoard", fmt.Sprint(size))
		if err != nil {
			b.Fatal(err)
		}
		out, err := t.Output(b.Context(), true)
		if err != nil {
			b.Fatal(err)
		}
		bufio.NewReader(out).ReadString('\n')
		var last tasklet.Hop
		move := func(i int) {
			if err := t.Move(b.Context(), peers[(i+1)%2].id()); err != nil {
				b.Fatal(err)
			}
			for { // the peer that started it hears of the move a little later
				moves := t.Info().Moves
				if len(moves) > 0 && moves[len(moves)-1] != last {
					last = moves[len(moves)-1]
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
		move(0)
		move(1)
		var frozen []time.Duration
		for i := 0; b.Loop(); i++ {
			move(i)
			frozen = append(frozen, last.Frozen)
		}
		slices.Sort(frozen)
		b.ReportMetric(float64(frozen[len(frozen)/2].Microseconds())/1000, "frozen-ms")
	})
}
