package peertest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/peertest"
)

// kadProtocol is that of the hash table.
const kadProtocol = "/dstackless/kad/1.0.0"

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
