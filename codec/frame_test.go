package codec_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/dstackless/dstackless/codec"
)

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestFrameRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		payload := bytes.Repeat([]byte{0xa5}, size)
		var buf bytes.Buffer
		if err := codec.WriteFrame(&buf, payload); err != nil {
			t.Fatal(err)
		}
		if err := codec.WriteFrame(&buf, []byte("next")); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(iotest.HalfReader(&buf))
		for _, want := range [][]byte{payload, []byte("next")} {
			got, err := codec.ReadFrame(r, 1<<20)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("frame of %d: got %d bytes, %v", len(want), len(got), err)
			}
		}
		if _, err := codec.ReadFrame(r, 1<<20); err != io.EOF {
			t.Fatalf("after the last frame: %v, want io.EOF", err)
		}
	}
}

func TestAppendFrameKeepsPrefix(t *testing.T) {
	if got := codec.AppendFrame([]byte("a"), []byte("bc")); string(got) != "a\x02bc" {
		t.Errorf("got %q", got)
	}
}

type writes int

func (w *writes) Write(p []byte) (int, error) { *w++; return len(p), nil }

func TestWriteFrameIsOneWrite(t *testing.T) {
	var w writes
	if err := codec.WriteFrame(&w, make([]byte, 1<<20)); err != nil || w != 1 {
		t.Errorf("%d writes, %v", w, err)
	}
}

func TestReadFrameCutShort(t *testing.T) {
	frame := codec.AppendFrame(nil, make([]byte, 300))
	for n := range frame {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := codec.ReadFrame(reader(frame[:n]), 300); err != want {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(frame), err, want)
		}
	}
}

func TestReadFrameErrors(t *testing.T) {
	for _, test := range []struct {
		name, in string
		limit    int
		want     error
	}{
		{"at the limit", "\x02ab", 2, nil},
		{"over the limit", "\x03abc", 2, codec.ErrTooLarge},
		{"limit zero, empty frame", "\x00", 0, nil},
		{"limit zero", "\x01a", 0, codec.ErrTooLarge},
		{"limit negative", "\x01a", -1, codec.ErrTooLarge},
		{"largest length", strings.Repeat("\xff", 9) + "\x01", 1 << 20, codec.ErrTooLarge},
		{"length past 64 bits", strings.Repeat("\xff", 9) + "\x02", 1 << 20, codec.ErrMalformed},
		{"length of eleven bytes", strings.Repeat("\x80", 10) + "\x01", 1 << 20, codec.ErrMalformed},
		{"zero in two bytes", "\x80\x00", 1 << 20, codec.ErrMalformed},
		{"one in two bytes", "\x81\x00a", 1 << 20, codec.ErrMalformed},
	} {
		got, err := codec.ReadFrame(reader([]byte(test.in)), test.limit)
		if !errors.Is(err, test.want) || err != nil && got != nil {
			t.Errorf("%s: %q, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestReadFramePassesErrors(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("\x03a"), iotest.ErrReader(broken))
	if _, err := codec.ReadFrame(bufio.NewReader(r), 3); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestReadFrameAllocatesAsBytesArrive(t *testing.T) {
	in := append(binary.AppendUvarint(nil, 1<<40), "abc"...)
	if used := allocated(func() {
		if _, err := codec.ReadFrame(reader(in), 1<<41); err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	}); used > 1<<20 {
		t.Errorf("allocated %d bytes for 3", used)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x03abc"), 3)
	f.Add([]byte("\x81\x00a"), 3)
	f.Add(codec.AppendFrame(nil, make([]byte, 200)), 1000)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		r := reader(in)
		payload, err := codec.ReadFrame(r, limit)
		if err != nil {
			return
		}
		if len(payload) > max(limit, 0) {
			t.Errorf("%d bytes over the limit of %d", len(payload), limit)
		}
		rest, _ := io.ReadAll(r)
		if again := append(codec.AppendFrame(nil, payload), rest...); !bytes.Equal(again, in) {
			t.Errorf("%x became %x", in, again)
		}
	})
}
