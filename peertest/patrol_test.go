package peertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// Homes look for others of their channels, less and less where nothing changes.
func TestQuietHomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers, channels, minutes = 5, 10, 30
		nw := peertest.New(t, peers, &peertest.Options{Seed: 1, Simulated: true})
		for i := range channels {
			open(t, nw.Peer(0), channel.Name(fmt.Sprint("channel ", i)))
		}
		time.Sleep(20 * time.Minute)
		said := func(i int) int64 { return nw.Traffic(i)[table].Writes }
		home, other := said(0), said(1)
		time.Sleep(minutes * time.Minute)
		each := float64((said(0)-home)-(said(1)-other)) / channels / minutes
		t.Logf("%.1f messages of each home a minute, announcements included", each)
		if most := float64(peers) / 2; each > most {
			t.Errorf("%.1f messages a minute, want %.1f at most", each, most)
		}
	})
}

// Two halves of a network are apart for as long as it takes to become quiet, and
// meet again.
func TestHomesMeetAfterLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := peertest.New(t, 4, &peertest.Options{Seed: 1, Simulated: true, Latency: 20 * time.Millisecond})
		nw.Partition([]int{0, 1}, []int{2, 3})
		time.Sleep(time.Minute)
		a, b := open(t, nw.Peer(1), "apart"), open(t, nw.Peer(2), "apart")
		time.Sleep(time.Hour)
		nw.Heal()
		start := time.Now()
		if err := exchange(t, a, b, 11*time.Minute); err != nil {
			t.Fatal(err)
		}
		t.Logf("they met after %v", time.Since(start))
	})
}
