package peertest

import (
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dstackless/dstackless/p2p"
)

// A tap is a stream of a peer that can be made to stand still.
type tap struct {
	p2p.Stream
	gate *gate
	gone atomic.Bool // reset or closed

	writing sync.Mutex
	out     scanner

	reading sync.Mutex
	in      scanner
	rest    []byte // read, and not handed on
}

// tap puts a tap around the streams that have steps.
func (g *gate) tap(s p2p.Stream) p2p.Stream {
	l, ok := spoken(s.Protocol())
	if !ok {
		return s
	}
	return &tap{Stream: s, gate: g, out: newScanner(l), in: newScanner(l)}
}

// pass stands still for as long as the peer does. It reports whether the stream
// is of any use then.
func (t *tap) pass() bool {
	t.gate.pass(t.gone.Load)
	return !t.gone.Load()
}

func (t *tap) Write(b []byte) (int, error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	written, at := 0, 0
	flush := func() error {
		if written == at {
			return nil
		}
		n, err := t.Stream.Write(b[written:at])
		written += n
		return err
	}
	stand := func() error {
		if err := flush(); err != nil {
			return err
		}
		if !t.pass() {
			return network.ErrReset
		}
		return nil
	}
	if err := stand(); err != nil {
		return 0, err
	}
	for at < len(b) {
		n, begins, ends := t.out.next(b[at:])
		if begins && t.gate.meet(t.out.frame, Sending) {
			if err := stand(); err != nil {
				return written, err
			}
		}
		at += n
		if ends && t.gate.meet(t.out.frame, Sent) {
			if err := stand(); err != nil {
				return written, err
			}
		}
	}
	return written, flush()
}

func (t *tap) Read(b []byte) (int, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	var err error
	if len(t.rest) == 0 {
		var n int
		if n, err = t.Stream.Read(b); n == 0 {
			return n, err
		}
		t.rest = b[:n]
	}
	if !t.pass() {
		return 0, network.ErrReset
	}
	// What comes before a frame at which the peer is to stand is handed on.
	for at := 0; at < len(t.rest) && at < len(b); {
		before := t.in
		n, begins, _ := t.in.next(t.rest[at:min(len(t.rest), len(b))])
		if begins && t.gate.meet(t.in.frame, Receiving) {
			if at > 0 {
				t.in = before
				return t.hand(b, at), nil
			}
			if !t.pass() {
				return 0, network.ErrReset
			}
		}
		at += n
	}
	n := t.hand(b, min(len(t.rest), len(b)))
	if len(t.rest) > 0 {
		err = nil // Read will say it again
	}
	return n, err
}

// hand hands n bytes on and keeps the others, which may be in b.
func (t *tap) hand(b []byte, n int) int {
	copy(b, t.rest[:n])
	t.rest = append([]byte(nil), t.rest[n:]...)
	return n
}

func (t *tap) Reset() error {
	t.leave()
	return t.Stream.Reset()
}

func (t *tap) ResetWithError(code network.StreamErrorCode) error {
	t.leave()
	return t.Stream.ResetWithError(code)
}

func (t *tap) Close() error {
	t.leave()
	return t.Stream.Close()
}

func (t *tap) leave() {
	t.gone.Store(true)
	t.gate.wake()
}
