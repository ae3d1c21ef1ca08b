package p2p_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// What was announced is not there before it has come, and comes as it was.
func TestWhole(t *testing.T) {
	const limit = 1 << 20
	a, b := start(t), start(t)
	connect(t, a, b)
	streams := make(chan p2p.Stream)
	b.Handle("/test/whole/1", func(s p2p.Stream) { streams <- s })
	open := func() (from, to p2p.Stream) {
		from, err := a.Open(within(t), b.ID(), "/test/whole/1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { from.Reset() })
		from.Write(nil) // says the protocol
		to = <-streams
		t.Cleanup(func() { to.Reset() })
		return from, b.WholeMessages(to, limit)
	}
	message := func(n int) []byte { return append(binary.AppendUvarint(nil, uint64(n)), data(n, 1)...) }

	from, to := open()
	var all []byte
	for _, n := range []int{0, 1, 63, 64, 65, 4096, 100_000, limit} {
		all = append(all, message(n)...)
	}
	go from.Write(all)
	got := make([]byte, len(all))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, all) {
		t.Fatalf("messages do not come as they were: %v", err)
	}
	m := message(5000)
	from.Write(m[:len(m)-1])
	to.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := to.Read(got); n != 0 || err == nil {
		t.Errorf("%d bytes of half a message are read: %v", n, err)
	}
	if n := b.Messages(); n != 0 {
		t.Errorf("%d bytes are kept of a message that was given up", n)
	}

	from, to = open()
	from.Write(binary.AppendUvarint(nil, limit+1))
	if _, err := to.Read(got); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a message that is too long is read: %v", err)
	}
}

// Messages that do not end take no more than one peer may have.
func TestWholeIsBounded(t *testing.T) {
	const limit = 4 << 20
	a, b := start(t), start(t)
	connect(t, a, b)
	b.Handle("/test/whole/1", func(s p2p.Stream) {
		io.Copy(io.Discard, b.WholeMessages(s, limit))
		s.Reset()
	})
	half := append(binary.AppendUvarint(nil, limit), data(limit-1, 1)...)
	full := 0
	for range p2p.MessagesOfOne/limit + 4 {
		s, err := a.Open(within(t), b.ID(), "/test/whole/1")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		s.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := s.Write(half); err != nil {
			full++
		}
		if n := b.Messages(); n > p2p.MessagesOfOne {
			t.Fatalf("%d bytes are kept", n)
		}
	}
	for ctx := within(t); b.Messages() < p2p.MessagesOfOne/2; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("%d bytes are kept: the bound was not reached", b.Messages())
		}
	}
	t.Logf("%d streams were reset in the middle, %d bytes are kept", full, b.Messages())
}

// What comes of a message is what was sent, with its length written as short as
// can be, and no memory is taken for more than has come.
func FuzzWhole(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzWhole")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 20
		m, taken, err := p2p.ReadWhole(b, limit)
		if taken > 2*len(b)+4096 {
			t.Fatalf("%d bytes were taken for %d", taken, len(b))
		}
		if err != nil {
			return
		}
		size, n := binary.Uvarint(m)
		if n <= 0 || int(size) != len(m)-n || !bytes.Contains(b, m[n:]) {
			t.Fatalf("%x became %x", b, m)
		}
	})
}
