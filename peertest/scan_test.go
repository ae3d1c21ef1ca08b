package peertest_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/peertest"
)

// Frames are found however the stream is cut into pieces.
func TestScan(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		said := make([]byte, network.Preamble)
		var want []peertest.Frame
		for range 20 {
			first := byte(1 + r.IntN(14))
			payload := append([]byte{first}, make([]byte, []int{0, 1, 100, 126, 127, 128, 20_000}[r.IntN(7)])...)
			said = codec.AppendFrame(said, payload)
			want = append(want, peertest.Frame("channel/"+network.FrameName(first)))
		}
		var pieces [][]byte
		for len(said) > 0 {
			n := min(1+r.IntN(1+r.IntN(5000)), len(said))
			pieces = append(pieces, said[:n])
			said = said[n:]
		}
		begin, end := peertest.Scan(pieces)
		if !slices.Equal(begin, want) || !slices.Equal(end, want) {
			t.Fatalf("%d frames began and %d ended of %d", len(begin), len(end), len(want))
		}
	}
}
