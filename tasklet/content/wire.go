package content

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/dstackless/dstackless/p2p"
)

// Protocol is spoken with peers that are reached through a relay. One side sends
// CIDs, in binary, each behind its length; the other answers each in turn with
// the length of the block plus one, and the block, or with 0 if it has none.
// Lengths are unsigned varints.
const Protocol p2p.Protocol = "/dstackless/content/1.0.0"

const (
	maxCID   = 128     // bytes
	maxBlock = 2 << 20 // bytes, as in bitswap
)

func appendWant(b []byte, c cid.Cid) []byte {
	b = binary.AppendUvarint(b, uint64(c.ByteLen()))
	return append(b, c.Bytes()...)
}

func readWant(r *bufio.Reader) (cid.Cid, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return cid.Undef, err
	}
	if n > maxCID {
		return cid.Undef, fmt.Errorf("%w: CID of %d bytes", ErrMalformed, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return cid.Undef, err
	}
	c, err := cid.Cast(b)
	if err != nil {
		return cid.Undef, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, checkCID(c)
}

// readBlock reads an answer. It returns errMissing if the peer lacks the block.
func readBlock(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, errMissing
	case n-1 > maxBlock:
		return nil, fmt.Errorf("%w: block of %d bytes", ErrMalformed, n-1)
	}
	data := make([]byte, n-1)
	_, err = io.ReadFull(r, data)
	return data, err
}

// serve answers a peer until it asks for nothing more.
func (s *Store) serve(stream p2p.Stream) {
	defer stream.Reset()
	if !s.begin() {
		return
	}
	defer s.work.Done()
	share := s.served.Take(s.node.Holder(stream.Conn().RemotePeer()), 1, func() { stream.Reset() })
	if share == nil {
		return
	}
	defer share.Return()
	defer context.AfterFunc(s.ctx, func() { stream.Reset() })()
	r := bufio.NewReader(stream)
	for {
		stream.SetDeadline(time.Now().Add(pullTimeout))
		c, err := readWant(r)
		if err != nil {
			return
		}
		head, block := []byte{0}, []byte(nil)
		if b, err := s.offline.GetBlock(s.ctx, c); err == nil && len(b.RawData()) <= maxBlock {
			block = b.RawData()
			head = binary.AppendUvarint(nil, uint64(len(block)+1))
		}
		if _, err := stream.Write(head); err != nil {
			return
		}
		if _, err := stream.Write(block); err != nil {
			return
		}
	}
}
