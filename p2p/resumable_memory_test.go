package p2p_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

// inUse returns how many bytes of heap and stacks are in use.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// A resumable stream on which nothing comes has no buffers, before it was used and
// after: both ends of it, with the ordinary streams below, take little memory.
func TestIdleResumables(t *testing.T) {
	const streams, most = 500, 48 << 10
	victim, other := start(t), start(t)
	connect(t, other, victim)
	victim.Handle(echo, func(s p2p.Stream) {
		defer s.Reset()
		for b := make([]byte, 64); ; {
			n, err := s.Read(b)
			if err != nil {
				return
			}
			if _, err := s.Write(b[:n]); err != nil {
				return
			}
		}
	})
	before := inUse()
	var open []p2p.Stream
	for i := range streams {
		s, err := other.OpenResumable(within(t), victim.ID(), echo)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		open = append(open, s)
		if i%2 == 0 {
			go s.Write(make([]byte, 64<<10))
			if _, err := io.ReadFull(s, make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	each := (inUse() - before) / streams
	t.Logf("%d bytes for both ends of an idle stream", each)
	if each > most {
		t.Errorf("an idle stream takes %d bytes, want %d at most", each, most)
	}
	for _, s := range open {
		s.Reset()
	}
}
