package tasklet

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

const (
	// batch is how many pages travel in one message: 240 KiB.
	batch = 60
	// ahead is how many messages are being made, or taken in, while another is
	// on its way.
	ahead = 2
)

// sendPages sends the pages of a list that need names, as snap has them. While
// one message is written, the next are made. It returns how many bytes of pages
// were sent, if all were.
func (c *conn) sendPages(list *PageList, snap *sandbox.Snapshot, need []byte) (sent uint64, err error) {
	p, err := newPacker()
	if err != nil {
		return 0, err
	}
	defer p.close()
	made, free, stop := make(chan []byte), make(chan []byte, ahead+1), make(chan struct{})
	for range ahead + 1 {
		free <- nil
	}
	var making sync.WaitGroup
	defer making.Wait()
	defer close(stop)
	making.Go(func() {
		defer close(made)
		for pages := range batches(list, need) {
			select {
			case frame := <-free:
				sent += uint64(len(pages)) * pageSize
				select {
				case made <- p.pack(frame, snap, pages):
				case <-stop:
					return
				}
			case <-stop:
				return
			}
		}
	})
	for frame := range made {
		c.within(stepTimeout)
		n, err := c.stream.Write(frame)
		c.sent += uint64(n)
		if err != nil {
			return 0, err
		}
		free <- frame
	}
	return sent, nil
}

// batches yields the pages of a list that need names, a message's worth each
// time, which is valid until the next.
func batches(list *PageList, need []byte) func(yield func([]uint32) bool) {
	return func(yield func([]uint32) bool) {
		pages := make([]uint32, 0, batch)
		for n, i := range list.Index {
			if !bit(need, n) {
				continue
			}
			if pages = append(pages, i); len(pages) == batch {
				if !yield(pages) {
					return
				}
				pages = pages[:0]
			}
		}
		if len(pages) > 0 {
			yield(pages)
		}
	}
}

func bit(bits []byte, i int) bool { return bits[i/8]&(1<<(i%8)) != 0 }

// A packer makes messages of pages.
type packer struct {
	zstd          *zstd.Encoder
	plain, packed []byte
}

func newPacker() (*packer, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	return &packer{zstd: e}, err
}

func (p *packer) close() { p.zstd.Close() }

// pack makes the frame of a message, in the memory of frame if that suffices.
func (p *packer) pack(frame []byte, snap *sandbox.Snapshot, pages []uint32) []byte {
	p.plain = append(p.plain[:0], byte(tagRaw))
	for _, i := range pages {
		p.plain = append(p.plain, snap.Page(i)...)
	}
	message := p.plain
	if raw := p.plain[1:]; p.shrinks(raw) {
		p.packed = p.zstd.EncodeAll(raw, append(p.packed[:0], byte(tagData)))
		message = p.packed
	}
	return codec.AppendFrame(frame[:0], message)
}

// shrinks reports whether pages are worth compressing, by a sample of them: one
// in sixteen.
func (p *packer) shrinks(raw []byte) bool {
	const each = 16 * pageSize
	size := 0
	for at := 0; at < len(raw); at += each {
		p.packed = p.zstd.EncodeAll(raw[at:at+pageSize], p.packed[:0])
		size += pageSize - len(p.packed)
	}
	return size > len(raw)/each*pageSize/16
}

// receivePages receives count pages and hands them to take, in order. A page is
// valid during the call. While take is called, the next messages come in.
func (c *conn) receivePages(count int, take func(page []byte) error) error {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(batch*pageSize))
	if err != nil {
		return err
	}
	defer decoder.Close()
	came, failed := make(chan []byte, ahead), make(chan error, 1)
	go func() {
		defer close(failed)
		for pages := range came {
			for ; len(pages) > 0; pages = pages[pageSize:] {
				if err := take(pages[:pageSize:pageSize]); err != nil {
					failed <- err
					return
				}
			}
		}
	}()
	for count > 0 && err == nil {
		var pages []byte
		if pages, err = c.nextPages(decoder, min(count, batch)); err != nil {
			break
		}
		count -= len(pages) / pageSize
		select {
		case came <- pages:
		case err = <-failed:
		}
	}
	close(came)
	return errors.Join(err, <-failed)
}

// nextPages returns what is in the next message, which has count pages.
func (c *conn) nextPages(decoder *zstd.Decoder, count int) ([]byte, error) {
	c.within(stepTimeout)
	t, body, err := c.next(2 * batch * pageSize)
	switch {
	case err != nil:
		return nil, err
	case t == tagData:
		body, err = decoder.DecodeAll(body, make([]byte, 0, count*pageSize))
	case t != tagRaw:
		return nil, fmt.Errorf("tasklet: message %d where pages belong: %w", t, codec.ErrMalformed)
	}
	if err != nil || len(body) != count*pageSize {
		return nil, errors.Join(fmt.Errorf("tasklet: page data: %w", codec.ErrMalformed), err)
	}
	return body, nil
}
