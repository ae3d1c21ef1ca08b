package output

import (
	"context"
	"io"
)

// A Reader reads an output from its start, as an [io.ReadCloser].
type Reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	source Source
	at     int64  // position of the next byte to get from source
	rest   []byte // got, and not yet read
}

// A Source is an output, here or at another peer.
type Source interface {
	// Next returns what follows the position from, at least one byte, and its
	// position, which is later if some was lost. It may wait for it as long as
	// ctx allows. The error is io.EOF at the end.
	Next(ctx context.Context, from int64) (at int64, data []byte, err error)
}

// NewReader returns a reader of s. Its reads end with ctx.
func NewReader(ctx context.Context, s Source) *Reader {
	ctx, cancel := context.WithCancel(ctx)
	return &Reader{ctx: ctx, cancel: cancel, source: s}
}

func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		at, data, err := r.source.Next(r.ctx, r.at)
		if err != nil {
			return 0, err
		}
		if lost := at - r.at; lost > 0 {
			r.rest = LostNotice(lost)
		}
		r.rest = append(r.rest, data...)
		r.at = at + int64(len(data))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Context returns a context that ends when the reader is closed.
func (r *Reader) Context() context.Context { return r.ctx }

// Close ends a Read that waits.
func (r *Reader) Close() error {
	r.cancel()
	return nil
}

// Local is an output that this peer keeps.
type Local struct {
	Buffer *Buffer
	Follow bool // wait for more, until the output is closed
}

func (l Local) Next(ctx context.Context, from int64) (at int64, data []byte, err error) {
	for {
		var changes <-chan struct{}
		if l.Follow {
			changes = l.Buffer.NextChange()
		}
		at, data, over := l.Buffer.Read(from)
		switch {
		case len(data) > 0:
			return at, data, nil
		case over || !l.Follow:
			return at, nil, io.EOF
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return at, nil, ctx.Err()
		}
	}
}
