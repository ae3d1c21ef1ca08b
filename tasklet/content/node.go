package content

import (
	"fmt"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/pb"
	"github.com/ipfs/boxo/verifcid"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// node is what one block says of a file: its bytes are data, then those of its
// children, size in all.
type node struct {
	data     []byte
	children []child
	size     int64
}

type child struct {
	cid  cid.Cid
	size int64
}

// checkCID reports whether c can name a file or a part of one.
func checkCID(c cid.Cid) error {
	if !c.Defined() {
		return fmt.Errorf("%w: the CID is empty", ErrMalformed)
	}
	if codec := c.Type(); codec != cid.Raw && codec != cid.DagProtobuf {
		return fmt.Errorf("%w: CID %s is of kind %#x, want raw or dag-pb", ErrMalformed, c, codec)
	}
	if err := verifcid.ValidateCid(hashes, c); err != nil {
		return fmt.Errorf("%w: CID %s: %w", ErrMalformed, c, err)
	}
	return nil
}

// decode reads a block whose hash is right and whose contents may be anything.
func decode(b blocks.Block) (*node, error) {
	if b.Cid().Type() == cid.Raw {
		return &node{data: b.RawData(), size: int64(len(b.RawData()))}, nil
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: block %s: %s", ErrMalformed, b.Cid(), fmt.Sprintf(format, args...))
	}
	p, err := merkledag.DecodeProtobuf(b.RawData())
	if err != nil {
		return nil, bad("%v", err)
	}
	fs, err := unixfs.FSNodeFromBytes(p.Data())
	if err != nil {
		return nil, bad("%v", err)
	}
	if t := fs.Type(); t != pb.Data_File && t != pb.Data_Raw {
		return nil, bad("a %s, want a file", t)
	}
	sizes, links := fs.BlockSizes(), p.Links()
	if len(sizes) != len(links) {
		return nil, bad("%d sizes for %d links", len(sizes), len(links))
	}
	n := &node{data: fs.Data(), size: int64(len(fs.Data()))}
	for i, link := range links {
		if err := checkCID(link.Cid); err != nil {
			return nil, bad("link %d: %v", i, err)
		}
		// No child is empty, and the sum can't overflow: FileSize is checked
		// against it.
		if sizes[i] == 0 || sizes[i] > maxSize || n.size > maxSize {
			return nil, bad("size %d of link %d", sizes[i], i)
		}
		n.children = append(n.children, child{link.Cid, int64(sizes[i])})
		n.size += int64(sizes[i])
	}
	if fs.FileSize() != uint64(n.size) {
		return nil, bad("the file has %d bytes, its parts have %d", fs.FileSize(), n.size)
	}
	return n, nil
}

// maxSize keeps sums of sizes far from overflow.
const maxSize = 1 << 56
