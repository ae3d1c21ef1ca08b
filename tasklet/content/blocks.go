package content

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/verifcid"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/sync"
	flatfs "github.com/ipfs/go-ds-flatfs"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
)

// hashes are those that a CID may use. bitswap's own list has SHA-1 in it too,
// for Git's sake: two programs with one SHA-1 can be made.
var hashes = verifcid.NewAllowlist(map[uint64]bool{
	multihash.SHA2_256:         true,
	multihash.SHA2_512:         true,
	multihash.SHA3_256:         true,
	multihash.BLAKE3:           true,
	multihash.BLAKE2B_MIN + 31: true, // BLAKE2b-256
	multihash.IDENTITY:         true, // the data itself, at most 128 bytes
})

// openBlocks opens the block store in dir, or one in memory.
//
// On disk it is flatfs, a file per block in folders by the end of its hash, as
// an IPFS node has it: no compaction, no cache to size, no format of its own to
// be damaged. A database such as leveldb or pebble is made for many small
// values, and blocks are few and large.
func openBlocks(dir string) (blockstore.Blockstore, func() error, error) {
	if dir == "" {
		memory := sync.MutexWrap(datastore.NewMapDatastore())
		return blockstore.NewIdStore(blockstore.NewBlockstore(memory)), memory.Close, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	disk, err := flatfs.CreateOrOpen(filepath.Join(dir, "blocks"), flatfs.NextToLast(2), true)
	if err != nil {
		return nil, nil, err
	}
	store := blockstore.NewBlockstore(disk, blockstore.NoPrefix())
	return blockstore.NewIdStore(&checked{store}), disk.Close, nil
}

// checked is a block store that forgets a block which no longer has its hash,
// for it can be fetched again.
type checked struct{ blockstore.Blockstore }

func (s *checked) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	validating := blockstore.ValidatingBlockstore{Blockstore: s.Blockstore}
	block, err := validating.Get(ctx, c)
	if errors.Is(err, blockstore.ErrHashMismatch) {
		if err := s.DeleteBlock(ctx, c); err != nil {
			return nil, err
		}
		return nil, ipld.ErrNotFound{Cid: c}
	}
	return block, err
}
