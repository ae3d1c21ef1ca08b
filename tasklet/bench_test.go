package tasklet_test

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// floor times writing size bytes to a stream and hearing that they came.
func floor(b *testing.B, size int) {
	buf := make([]byte, min(size, 4<<20))
	floorOf(b, size, func(s io.Writer) {
		for sent := 0; sent < size; sent += len(buf) {
			s.Write(buf)
		}
	}, func(s io.Reader) error {
		_, err := io.CopyN(io.Discard, s, int64(size))
		return err
	})
}

// floorKept is floor for a memory of its own at the source, and new memory in
// which the bytes stay at the destination.
func floorKept(b *testing.B, size int) {
	debug.FreeOSMemory() // what an earlier one kept
	memory := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(memory)
	floorOf(b, size, func(s io.Writer) { s.Write(memory) }, func(s io.Reader) error {
		_, err := io.ReadFull(s, make([]byte, size))
		return err
	})
}

// floorOf times sending size bytes on a stream and hearing that they were
// received.
func floorOf(b *testing.B, size int, send func(io.Writer), receive func(io.Reader) error) {
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
		for receive(s) == nil {
			s.Write([]byte{1})
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
	spent := processor(b)
	for b.Loop() {
		send(s)
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((processor(b)-spent).Seconds()/float64(b.N)*1000, "cpu-ms/op")
}

// diskFloor times writing size bytes to a file and having them on the disk.
func diskFloor(b *testing.B, size int) {
	buf := make([]byte, min(size, 4<<20))
	file := filepath.Join(b.TempDir(), "floor")
	for b.Loop() {
		f := must[*os.File](b)(os.Create(file))
		for written := 0; written < size; written += len(buf) {
			must[int](b)(f.Write(buf))
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// moves times moves of a program to and fro, and reports how long it stood
// still, in the median and at most, and what was sent.
func moves(b *testing.B, peers []*peer, warm int, args ...string) {
	t, err := peers[0].Spawn(b.Context(), build(b, "zoo"), args...)
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
			moves := must[tasklet.Info](b)(t.Info(b.Context())).Moves
			if len(moves) > 0 && moves[len(moves)-1] != last {
				last = moves[len(moves)-1]
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	for i := range warm {
		move(i)
	}
	var frozen []time.Duration
	var sent uint64
	spent := processor(b)
	for i := 0; b.Loop(); i++ {
		move(warm + i)
		frozen = append(frozen, last.Frozen)
		sent += last.Sent
	}
	b.ReportMetric((processor(b)-spent).Seconds()/float64(b.N)*1000, "cpu-ms/op")
	slices.Sort(frozen)
	b.ReportMetric(float64(frozen[len(frozen)/2].Microseconds())/1000, "frozen-ms")
	b.ReportMetric(float64(frozen[len(frozen)-1].Microseconds())/1000, "frozen-max-ms")
	b.ReportMetric(float64(sent)/float64(len(frozen))/1e6, "sent-MB")
}

// How long a program with a heap of 4 MiB stands still when it moves to a peer
// that has the program, beside the time to write 4 MiB to a stream, and, if both
// have disks, to one.
func BenchmarkFreeze(b *testing.B) {
	b.Run("floor=stream", func(b *testing.B) { floor(b, 4<<20) })
	b.Run("floor=disk", func(b *testing.B) { diskFloor(b, 4<<20) })
	b.Run("move", func(b *testing.B) { moves(b, startPeers(b, 2, tcp), 2, "hoard", "4") })
	b.Run("move-disk", func(b *testing.B) { moves(b, diskPeers(b, nil), 2, "hoard", "4") })
}

// The same with a heap of 64 MiB.
func BenchmarkFreeze64(b *testing.B) {
	b.Run("floor=stream", func(b *testing.B) { floor(b, 64<<20) })
	b.Run("move", func(b *testing.B) { moves(b, startPeers(b, 2, tcp), 2, "hoard", "64") })
}

// How long a program with a heap of 1 GiB, of which it changes 10 MB a second,
// stands still when it moves to a peer that has the program, and how long the move
// takes, beside the time to write 1 GiB, and 1 MiB, to a stream, or to a disk if both
// have one; kept: out of as much memory into new memory. Both peers, and the program,
// share the processors: cpu-ms is what all used.
func BenchmarkFreezeLarge(b *testing.B) {
	b.Run("floor=stream-1GiB", func(b *testing.B) { floor(b, 1<<30) })
	b.Run("floor=kept-1GiB", func(b *testing.B) { floorKept(b, 1<<30) })
	b.Run("floor=stream-1MiB", func(b *testing.B) { floor(b, 1<<20) })
	b.Run("floor=disk-1GiB", func(b *testing.B) { diskFloor(b, 1<<30) })
	b.Run("floor=disk-1MiB", func(b *testing.B) { diskFloor(b, 1<<20) })
	large := &tasklet.Options{AcceptAny: true, Limits: tasklet.Limits{Memory: 2 << 30}}
	b.Run("move", func(b *testing.B) {
		peers := []*peer{startPeer(b, tcp, large), startPeer(b, tcp, large)}
		if _, err := peers[0].node.Connect(b.Context(), peers[1].node.Addrs()[0]); err != nil {
			b.Fatal(err)
		}
		learns(b, peers[1])
		moves(b, peers, 0, "churn", "1024")
	})
	b.Run("move-disk", func(b *testing.B) {
		peers := diskPeers(b, large)
		learns(b, peers[1])
		moves(b, peers, 0, "churn", "1024")
	})
}

// How long it takes to start a program that was started before.
func BenchmarkSpawn(b *testing.B) {
	p, wasm := startPeer(b, tcp, nil), build(b, "zoo")
	learns(b, p)
	for b.Loop() {
		t := must[*tasklet.Tasklet](b)(p.Spawn(b.Context(), wasm, "forever"))
		b.StopTimer()
		if err := t.Kill(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// learns has a peer get the program that moves.
func learns(b *testing.B, p *peer) {
	t := must[*tasklet.Tasklet](b)(p.Spawn(b.Context(), build(b, "zoo"), "forever"))
	if err := t.Kill(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// diskPeers starts two peers with disks.
func diskPeers(b *testing.B, opts *tasklet.Options) (peers []*peer) {
	for range 2 {
		o := tasklet.Options{AcceptAny: true, CacheDir: cache}
		if opts != nil {
			o.Limits = opts.Limits
		}
		o.DataDir = b.TempDir()
		p := must[*peer](b)(newPeer(o.DataDir, tcp, &o))
		b.Cleanup(p.close)
		peers = append(peers, p)
	}
	if _, err := peers[0].node.Connect(b.Context(), peers[1].node.Addrs()[0]); err != nil {
		b.Fatal(err)
	}
	return peers
}
