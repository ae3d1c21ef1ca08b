package tasklet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// sendPages sends pages, as snap has them.
func (m *outgoingMove) sendPages(pages []uint32, snap *sandbox.Snapshot) error {
	for some := range slices.Chunk(pages, messagePages) {
		frame, err := m.packer.pack(snap, some)
		if err != nil {
			return err
		}
		m.conn.within(stepTimeout)
		n, err := m.conn.stream.Write(frame)
		m.conn.sent += uint64(n)
		if err != nil {
			return m.conn.refusal(err)
		}
		m.hop.New += uint64(len(some)) * pageSize
	}
	return nil
}

// cached returns the name of a page of this tasklet in the host's cache.
func (p *process) cached(hash pageHash) pageKey { return pageKey{p.origin, hash} }

func bit(bits []byte, i int) bool { return bits[i/8]&(1<<(i%8)) != 0 }

// A packer makes messages of pages. The zero value is one.
type packer struct {
	zstd          *zstd.Encoder // nil until it is needed
	plain, packed []byte
	shrank        bool // the message before did
}

func (p *packer) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// pack makes the frame of a message, which is valid until the next.
func (p *packer) pack(snap *sandbox.Snapshot, pages []uint32) (frame []byte, err error) {
	if p.zstd == nil {
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, err
		}
	}
	size := len(pages) * pageSize
	p.plain = append(binary.AppendUvarint(p.plain[:0], uint64(1+size)), byte(tagRaw))
	for _, i := range pages {
		p.plain = snap.AppendPage(p.plain, i)
	}
	raw := p.plain[len(p.plain)-size:]
	if p.shrank = p.shrinks(raw); !p.shrank {
		return p.plain, nil
	}
	p.packed = p.zstd.EncodeAll(raw, append(p.packed[:0], byte(tagData)))
	return codec.AppendFrame(p.plain[:0], p.packed), nil
}

// shrinks reports whether pages are worth compressing, by a sample of them: one
// in sixteen, or the first alone if those before were not.
func (p *packer) shrinks(raw []byte) bool {
	each := messagePages * pageSize
	if p.shrank {
		each = 16 * pageSize
	}
	saved, looked := 0, 0
	for at := 0; at < len(raw); at += each {
		p.packed = p.zstd.EncodeAll(raw[at:at+pageSize], p.packed[:0])
		saved, looked = saved+pageSize-len(p.packed), looked+pageSize
	}
	return saved > looked/16
}

// An unpacker takes messages of pages in. The zero value is one.
type unpacker struct {
	zstd          *zstd.Decoder // nil until it is needed
	packed, plain []byte
}

func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
	}
}

// next returns what is in the next message, which has as many pages as into, or
// count if that is nil: in into, if possible, which has an unknown part of them
// after an error. The pages are valid until the next message.
func (u *unpacker) next(c *conn, count int, into []byte) (pages []byte, err error) {
	if into == nil {
		u.plain = slices.Grow(u.plain[:0], messagePages*pageSize)
		into = u.plain[:count*pageSize]
	}
	c.within(stepTimeout)
	size, err := codec.NextFrame(c.r, 2*messagePages*pageSize)
	if err != nil {
		return nil, err
	}
	if size == 1+len(into) {
		if head, err := c.r.Peek(1); err == nil && tag(head[0]) == tagRaw {
			c.r.Discard(1)
			_, err = io.ReadFull(c.r, into)
			return into, err
		}
	}
	u.packed = slices.Grow(u.packed[:0], 1+messagePages*pageSize)
	message := u.packed[:min(size, cap(u.packed))]
	if size > len(message) {
		message, err = codec.ReadBody(c.r, size)
	} else {
		_, err = io.ReadFull(c.r, message)
	}
	if err != nil {
		return nil, err
	}
	t, packed, err := parse(message, size)
	switch {
	case err != nil:
		return nil, err
	case t != tagData && t != tagRaw:
		return nil, fmt.Errorf("tasklet: message %d where pages belong: %w", t, codec.ErrMalformed)
	case t == tagData:
		pages, err = u.unpack(packed, into)
	}
	if err != nil || len(pages) != len(into) {
		return nil, errors.Join(fmt.Errorf("tasklet: page data: %w", codec.ErrMalformed), err)
	}
	return pages, nil
}

func (u *unpacker) unpack(packed, into []byte) (pages []byte, err error) {
	if u.zstd == nil {
		if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(messagePages*pageSize)); err != nil {
			return nil, err
		}
	}
	return u.zstd.DecodeAll(packed, into[:0:len(into)])
}
