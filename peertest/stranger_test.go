package peertest_test

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// kadProtocol is that of the hash table.
const kadProtocol = "/dstackless/kad/1.0.0"

// swarmTime is how long a swarm attacks in the test.
var swarmTime = flag.Duration("swarm", 5*time.Second, "how long a swarm attacks in TestSwarm and TestHostileSwarm; from 30s on, honest peers of the latter bring new programs")

// memory returns how many bytes of memory a process has that are real.
func memory(t *testing.T, p *peertest.Process) int64 {
	t.Helper()
	n, err := p.Resident()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A stranger announces a thousand messages of 4 MiB to the hash table, three times, and
// sends one byte of each. The peer takes no memory for what does not come, and
// serves others meanwhile.
func TestMessagesThatDoNotCome(t *testing.T) {
	victim := peertest.StartProcess(t, nil)
	a := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: victim.Addrs()[:1]})
	b := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: victim.Addrs()[:1]})
	before := memory(t, victim)
	s := peertest.NewStranger(t, "127.0.0.2", victim.Addrs()[0])
	var most int64
	for _, name := range []channel.Name{"first", "second", "third"} {
		var streams []network.Stream
		for range 1000 {
			// The length, 4 MiB, and a byte.
			if stream, err := s.Open(t.Context(), kadProtocol, []byte{0x80, 0x80, 0x80, 0x02, 0}); err == nil {
				streams = append(streams, stream)
			}
		}
		from, to := open(t, a, name), open(t, b, name)
		if err := exchange(t, from, to, 20*time.Second); err != nil {
			t.Errorf("honest peers do not find each other: %v", err)
		}
		most = max(most, memory(t, victim))
		for _, stream := range streams {
			stream.Reset()
		}
		most = max(most, memory(t, victim))
	}
	t.Logf("%d MiB before, %d MiB at most", before>>20, most>>20)
	if most > before+100<<20 {
		t.Errorf("the peer has taken %d MiB for 15 KB", (most-before)>>20)
	}
}

// Sixty-four strangers on sixteen addresses do all attacks at once. Peers that
// come meanwhile find each other through the victim, and talk; what the victim
// takes is bounded.
func TestSwarm(t *testing.T) {
	const bound = 1 << 30
	if raceDetector {
		t.Skip("the race detector takes memory of its own, and slows down the victim more than the swarm; .ci/run runs this test without it")
	}
	victim := peertest.StartProcess(t, nil)
	before := memory(t, victim)
	swarm := peertest.StartSwarm(t, victim.Addrs()[0], nil)
	begun := time.Now()
	most, talks := before, 0
	var slowest time.Duration
	for time.Since(begun) < *swarmTime || talks < 2 {
		a := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: victim.Addrs()[:1]})
		b := peertest.StartProcess(t, &peertest.ProcessOptions{Bootstrap: victim.Addrs()[:1]})
		name := channel.Name(fmt.Sprint("talk ", talks))
		from, to := open(t, a, name), open(t, b, name)
		for range 10 {
			start := time.Now()
			if err := exchange(t, from, to, 20*time.Second); err != nil {
				t.Fatalf("honest peers do not find each other: %v", err)
			}
			slowest = max(slowest, time.Since(start))
		}
		talks++
		most = max(most, memory(t, victim))
		a.Close()
		b.Close()
	}
	for attack, n := range swarm.Counts() {
		t.Logf("%-14s %6d done %6d failed", attack, n.Done, n.Failed)
		if n.Done == 0 && attack != peertest.AttackReservations { // the victim is no relay
			t.Errorf("%s never got through: it is no attack", attack)
		}
	}
	t.Logf("%d talks, the slowest exchange took %v; %d MiB before, %d MiB at most", talks, slowest, before>>20, most>>20)
	if most > bound {
		t.Errorf("the victim has taken %d MiB", most>>20)
	}
}
