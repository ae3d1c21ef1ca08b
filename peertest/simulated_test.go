package peertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

func TestSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 50 * time.Millisecond
		begun := time.Now()
		nw := peertest.New(t, 10, &peertest.Options{Simulated: true, Latency: latency, Sparse: true})
		var ends []*channel.Channel[string]
		for _, p := range nw.Peers() {
			ends = append(ends, open(t, p, "far away"))
		}
		t.Logf("started in %v of virtual time", time.Since(begun))
		for i, from := range ends {
			start := time.Now()
			if err := exchange(t, from, ends[(i+1)%len(ends)], time.Minute); err != nil {
				t.Errorf("peer %d: %v", i, err)
			}
			d := time.Since(start)
			t.Logf("%d to the next: %v", i, d)
			if d < 2*latency {
				t.Errorf("a value and its receipt took %v", d)
			}
		}
	})
}
