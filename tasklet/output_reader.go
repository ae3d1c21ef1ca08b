package tasklet

import (
	"context"
	"io"
)

// A reader reads an output from its start.
type reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	source source
	at     int64
	rest   []byte
}

// A source is an output, here or at another peer.
type source interface {
	// next returns what follows the position from, at least one byte, and its
	// position, which is later if some was lost. It may wait for it as long as
	// ctx allows. The error is io.EOF at the end.
	next(ctx context.Context, from int64) (at int64, data []byte, err error)
}

func newReader(ctx context.Context, s source) *reader {
	ctx, cancel := context.WithCancel(ctx)
	return &reader{ctx: ctx, cancel: cancel, source: s}
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		at, data, err := r.source.next(r.ctx, r.at)
		if err != nil {
			return 0, err
		}
		if lost := at - r.at; lost > 0 {
			r.rest = lostNote(lost)
		}
		r.rest = append(r.rest, data...)
		r.at = at + int64(len(data))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends a Read that waits.
func (r *reader) Close() error {
	r.cancel()
	return nil
}

// A local source is an output that this peer keeps.
type local struct {
	out    *output
	follow bool
}

func (l local) next(ctx context.Context, from int64) (at int64, data []byte, err error) {
	for {
		var changes <-chan struct{}
		if l.follow {
			changes = l.out.changes()
		}
		at, data, over := l.out.read(from)
		switch {
		case len(data) > 0:
			return at, data, nil
		case over || !l.follow:
			return at, nil, io.EOF
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return at, nil, ctx.Err()
		}
	}
}
