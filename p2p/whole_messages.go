package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/dstackless/dstackless/p2p/quota"
)

// messageBytes limits the bytes of messages that have not come whole yet, see
// [Node.WholeMessages].
var messageBytes = shared(128<<20, 32<<20)

// WholeMessages returns s for a library that takes memory for a whole message on the word
// of a length. Messages on s are of up to limit bytes, each behind its length as
// a varint. What is read from the result comes after the whole message is there.
// Until then it takes as much memory as has come, twice at most. All peers
// together have 128 MiB for this, one peer 32 MiB, and strangers three quarters.
//
// Read returns an error for a message that is too long, and if there is no memory
// for it: then the stream should be reset.
func (n *Node) WholeMessages(s Stream, limit int) Stream {
	return &wholeStream{Stream: s, node: n, limit: limit, r: bufio.NewReaderSize(s, 64)}
}

// A wholeStream reads ahead by one message.
type wholeStream struct {
	Stream
	node  *Node
	limit int
	r     *bufio.Reader

	message []byte       // what was not read yet of one that has come
	share   *quota.Share // its memory
}

// Read implements [io.Reader]. It must not be called by several at once.
func (w *wholeStream) Read(p []byte) (n int, err error) {
	if len(w.message) == 0 {
		if err = w.fill(); err != nil {
			w.drop()
			return 0, err
		}
	}
	n = copy(p, w.message)
	if w.message = w.message[n:]; len(w.message) == 0 {
		w.drop()
	}
	return n, nil
}

// drop gives the memory of a message back.
func (w *wholeStream) drop() {
	w.message = nil
	if w.share != nil {
		w.share.Return()
		w.share = nil
	}
}

// fill reads one message, with its length in front.
func (w *wholeStream) fill() error {
	if _, err := w.r.Peek(1); err != nil {
		return err
	}
	holder := w.node.resources.holder(w.Conn().RemotePeer())
	w.share = w.node.messages.Open(holder, func() { w.node.work.Go(func() { w.Stream.Reset() }) })
	m, err := readWhole(w.r, w.limit, w.share)
	w.message = m
	return err
}

// readWhole reads one message, with its length in front, and takes its memory from
// a share as it comes.
func readWhole(r *bufio.Reader, limit int, share *quota.Share) ([]byte, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if size > uint64(limit) {
		return nil, fmt.Errorf("p2p: a message of %d bytes was announced, more than %d", size, limit)
	}
	m := binary.AppendUvarint(nil, size)
	for left := int(size); left > 0; {
		step := min(left, max(len(m), 4096))
		if !share.Grow(step) {
			return nil, fmt.Errorf("p2p: no memory for a message: %w", errShared)
		}
		at := len(m)
		m = append(m, make([]byte, step)...)
		if _, err := io.ReadFull(r, m[at:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		left -= step
	}
	return m, nil
}
