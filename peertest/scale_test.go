package peertest_test

import (
	"flag"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

var long = flag.Bool("long", false, "TestScale has up to 100 peers, TestChurn lasts 20 minutes of virtual time")

// TestScale measures what it takes to find a name, in networks of more and more
// peers: the cost must grow as their logarithm does, and what follows must not
// use the table of names at all. Messages are those of the peer that announces
// or finds.
func TestScale(t *testing.T) {
	if raceDetector {
		t.Skip("a question of numbers; TestChurn has as much to race")
	}
	sizes := []int{10, 30}
	if *long {
		sizes = append(sizes, 100)
	}
	t.Logf("%6s %14s %14s %16s %16s", "peers", "to announce", "to find", "first value", "next values")
	for _, n := range sizes {
		synctest.Test(t, func(t *testing.T) { measureScale(t, n) })
	}
}

// table is the protocol of the names.
const table = "/dstackless/kad/1.0.0"

func measureScale(t *testing.T, n int) {
	const (
		latency = 50 * time.Millisecond
		names   = 5
		values  = 100
	)
	nw := peertest.New(t, n, &peertest.Options{Seed: 1, Simulated: true, Latency: latency, Sparse: true})
	time.Sleep(2 * time.Minute) // the tables settle
	said := func(i int) int64 { return nw.Traffic(i)[table].Writes }

	var announce, find, first, next float64
	quiet := false
	for k := range names {
		a, b := 7*k%n, (7*k+n/2)%n
		name := channel.Name(fmt.Sprint("name ", k))
		before := said(a)
		home := open(t, nw.Peer(a), name)
		time.Sleep(10 * time.Second)
		announce += float64(said(a)-before) / names

		before = said(b)
		start := time.Now()
		other := open(t, nw.Peer(b), name)
		if err := exchange(t, other, home, time.Minute); err != nil {
			t.Fatal(err)
		}
		first += time.Since(start).Seconds() / names
		find += float64(said(b)-before) / names
		time.Sleep(10 * time.Second)

		before = said(a) + said(b)
		start = time.Now()
		for range values {
			if err := exchange(t, other, home, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		next += time.Since(start).Seconds() / names / values
		quiet = quiet || said(a)+said(b) == before
	}
	roundTrip := (2 * latency).Seconds()
	t.Logf("%6d %5.0f messages %5.0f messages %12.2f RTT %12.2f RTT", n, announce, find, first/roundTrip, next/roundTrip)
	// A search ends with the 20 peers nearest to the name; on the way to them
	// each step halves the distance, at least.
	steps := math.Log2(float64(n))
	if most := 20 + 10*steps; find > most {
		t.Errorf("%d peers: a name is found with %.0f messages, more than %.0f", n, find, most)
	}
	if most := 1 + steps; first/roundTrip > most {
		t.Errorf("%d peers: a name is found and used in %.2f round trips, more than %.2f", n, first/roundTrip, most)
	}
	if !quiet {
		t.Errorf("%d peers: with every name, the table was used while values were sent", n)
	}
}
