package network_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/p2p"
)

// greeting is how many bytes a session begins with, before its frames.
const greeting = 8

var errTapped = errors.New("the test has cut the stream")

// A tap is the end of a session's stream at the peer that accepted it. It sees
// each frame that passes either way, and does to it what the weather says.
type tap struct {
	p2p.Stream
	weather *weather
	link    [2]int // who opened the stream, and who accepted it
	frames  *bufio.Reader

	// Of the reader.
	greeted bool
	ready   []byte // what passes next

	// Of the writer.
	said    int    // bytes of the greeting
	pending []byte // less than a frame

	mu     sync.Mutex
	dead   chan struct{} // closed when the peer here notices that the stream has ended
	closed bool          // dead is, or will be
	deaf   bool          // nothing passes any more
}

func newTap(s p2p.Stream, w *weather, from, to int) *tap {
	t := &tap{Stream: s, weather: w, link: [2]int{from, to}, frames: bufio.NewReader(s), dead: make(chan struct{})}
	w.add(t)
	return t
}

func (t *tap) Read(p []byte) (int, error) {
	for len(t.ready) == 0 {
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	return n, nil
}

// next reads what passes next.
func (t *tap) next() error {
	if t.over() {
		<-t.dead
		return errTapped
	}
	if !t.greeted {
		t.ready = make([]byte, greeting)
		t.greeted = true
		_, err := io.ReadFull(t.frames, t.ready)
		return err
	}
	b, err := codec.ReadFrame(t.frames, network.MaxFrameBytes)
	if t.over() {
		<-t.dead
		return errTapped
	} else if err != nil {
		return err
	}
	frame := codec.AppendFrame(nil, b)
	switch d := t.weather.judge(t.link, b[0]); d.deed {
	case lose:
		t.cut(d)
	case part:
		t.ready = frame
		t.cut(d)
	case linger:
		t.Stream.Reset()
		time.Sleep(d.time)
		t.ready = frame
		t.cut(d)
	default:
		time.Sleep(d.time)
		t.ready = frame
	}
	return nil
}

func (t *tap) Write(p []byte) (int, error) {
	if t.over() {
		select {
		case <-t.dead:
			return 0, errTapped
		default:
			return len(p), nil // the peer here does not know yet
		}
	}
	t.pending = append(t.pending, p...)
	if t.said < greeting {
		if len(t.pending) < greeting {
			return len(p), nil
		}
		t.said = greeting
		if _, err := t.Stream.Write(t.pending[:greeting]); err != nil {
			return 0, err
		}
		t.pending = t.pending[greeting:]
	}
	for {
		size, n := binary.Uvarint(t.pending)
		if n <= 0 || uint64(len(t.pending)-n) < size {
			t.pending = append([]byte(nil), t.pending...)
			return len(p), nil
		}
		frame := t.pending[:n+int(size)]
		t.pending = t.pending[len(frame):]
		d := t.weather.judge(t.link, frame[n])
		if d.deed == lose {
			t.cut(d)
			return len(p), nil
		}
		time.Sleep(d.time)
		if _, err := t.Stream.Write(frame); err != nil {
			return 0, err
		}
		if d.deed == part || d.deed == linger {
			t.cut(d)
			return len(p), nil
		}
	}
}

func (t *tap) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deaf
}

// cut ends the stream for both sides, for one perhaps later than for the other.
func (t *tap) cut(d doom) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.deaf, t.closed = true, true
	if d.deed == part { // what was written is read before the end
		t.Stream.CloseWrite()
	}
	later := func(wait time.Duration, f func()) {
		if wait == 0 {
			f()
			return
		}
		time.AfterFunc(wait, f)
	}
	later(d.here, func() {
		close(t.dead)
		t.Stream.SetReadDeadline(time.Now()) // wakes the reader
	})
	later(max(d.there, d.time), func() { t.Stream.Reset() })
}

// Reset ends the stream for both sides, unless the weather does it already.
func (t *tap) Reset() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.deaf, t.closed = true, true
	close(t.dead)
	return t.Stream.Reset()
}
