package tasklet_test

import (
	"bufio"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// FuzzMove says any message to a host, at the beginning of a stream or when a
// function has been offered. Then the stream ends, and nothing of the move is
// left. A program would have to be compiled, which takes minutes under a fuzzer:
// TestHostileSource has the messages that belong to its pages.
func FuzzMove(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzMove/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	victim := startPeer(f, tcp, &tasklet.Options{AcceptAny: true, Functions: functions})
	ctx := within(f, time.Hour)
	from := must[*p2p.Node](f)(p2p.Start(&p2p.Options{Listen: tcp}))
	f.Cleanup(func() { from.Close() })
	must[p2p.ID](f)(from.Connect(ctx, victim.node.Addrs()[0]))

	c := begun(goodFunction(), from)
	o := offerOf(c)
	for _, offers := range []bool{false, true} {
		for t := range byte(reads + 2) {
			f.Add(offers, t, []byte{})
		}
		f.Add(offers, byte(offered), marshal(f, o))
		f.Add(offers, byte(frozen), encode(f, goodFunction())) // of another origin
	}
	f.Fuzz(func(t *testing.T, offers bool, tag byte, body []byte) {
		stream := must[p2p.Stream](t)(from.Open(t.Context(), victim.node.ID(), tasklet.Protocol))
		defer stream.Reset()
		stream.SetDeadline(time.Now().Add(patience))
		s := &stranger{t, stream, bufio.NewReader(stream)}
		if offers {
			s.say(offered, o)
		}
		s.sayBytes(tag, body)
		s.CloseWrite()
		if _, err := io.Copy(io.Discard, s); timedOut(err) {
			t.Error("the stream does not end")
		}
		eventually(within(t, patience), t, "the end of the move", func() bool { return len(victim.Arriving()) == 0 })
	})
}
