package peertest_test

import (
	"testing"
	"time"

	"github.com/dstackless/dstackless/peertest"
)

// Faults on real UDP sockets.
func TestQUIC(t *testing.T) {
	nw := peertest.New(t, 2, &peertest.Options{QUIC: true, Latency: 10 * time.Millisecond, Bandwidth: 1 << 20})
	a, b := open(t, nw.Peer(0), "packets"), open(t, nw.Peer(1), "packets")
	exchanged := func() time.Duration {
		t.Helper()
		start := time.Now()
		if err := exchange(t, a, b, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	exchanged()
	if d := exchanged(); d < 20*time.Millisecond {
		t.Errorf("a value and its receipt took %v", d)
	}
	nw.Cut(0, 1)
	exchanged()
	nw.Partition([]int{0}, []int{1})
	until(t, "they lose each other", func() bool { return !connected(nw, 0, 1) && !connected(nw, 1, 0) })
	nw.Heal()
	nw.Kill(1) // of which peer 0 does not hear
	nw.Restart(1)
	b = open(t, nw.Peer(1), "packets")
	exchanged()
}
