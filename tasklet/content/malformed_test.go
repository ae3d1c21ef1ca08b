package content_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	flatfs "github.com/ipfs/go-ds-flatfs"

	"github.com/dstackless/dstackless/tasklet/content"
)

// A part is a link in a crafted block and the size that it claims.
type part struct {
	to   blocks.Block
	size uint64
}

func block(t testing.TB, codec uint64, data []byte) blocks.Block {
	t.Helper()
	b, err := blocks.NewBlockWithCid(data, sum(codec, data))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// file crafts a UnixFS block of the given type that claims size bytes.
func file(t testing.TB, kind, size uint64, parts ...part) blocks.Block {
	var links []byte
	data := number(number(nil, 1, kind), 3, size)
	for _, p := range parts {
		link := field(field(nil, 1, p.to.Cid().Bytes()), 2, nil)
		links = field(links, 2, number(link, 3, p.size))
		data = number(data, 4, p.size)
	}
	return block(t, cid.DagProtobuf, field(links, 1, data))
}

func TestMalformed(t *testing.T) {
	const directory, regular, symlink = 1, 2, 4
	ten := block(t, cid.Raw, []byte("0123456789"))
	none := block(t, cid.Raw, nil)
	// Each block of bomb names the one below it 100 times, and each byte is
	// there: 5 blocks that unfold into 10^8 pieces.
	byteBlock := block(t, cid.Raw, []byte("x"))
	bomb, size := []blocks.Block{byteBlock}, uint64(1)
	for range 4 {
		parts := make([]part, 100)
		for i := range parts {
			parts[i] = part{bomb[0], size}
		}
		size *= 100
		bomb = append([]blocks.Block{file(t, regular, size, parts...)}, bomb...)
	}
	deep := []blocks.Block{ten}
	for range 20 {
		deep = append([]blocks.Block{file(t, regular, 10, part{deep[0], 10})}, deep...)
	}
	for name, planted := range map[string][]blocks.Block{
		"not protobuf":      {block(t, cid.DagProtobuf, []byte("nonsense"))},
		"no UnixFS":         {block(t, cid.DagProtobuf, nil)},
		"directory":         {file(t, directory, 0)},
		"symlink":           {file(t, symlink, 0)},
		"claims more":       {file(t, regular, 20, part{ten, 10}), ten},
		"claims less":       {file(t, regular, 0, part{ten, 10}), ten},
		"part claims less":  {file(t, regular, 5, part{ten, 5}), ten},
		"part claims more":  {file(t, regular, 15, part{ten, 15}), ten},
		"empty part":        {file(t, regular, 0, part{none, 0}), none},
		"overflowing parts": {file(t, regular, 0, part{ten, 1 << 63}, part{ten, 1 << 63}), ten},
		"bomb":              bomb,
		"too deep":          deep,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, planted...)
			m := start(t, dir)
			data, err := m.Get(within(t), planted[0].Cid(), 1<<30)
			if !errors.Is(err, content.ErrMalformed) {
				t.Fatalf("%d bytes, %v; want ErrMalformed", len(data), err)
			}
			t.Log(err)
		})
	}
	t.Run("well-formed", func(t *testing.T) { // or the others prove nothing
		dir, root := t.TempDir(), file(t, regular, 20, part{ten, 10}, part{ten, 10})
		plant(t, dir, root, ten)
		get(t, start(t, dir), root.Cid(), []byte("01234567890123456789"))
	})
}

// plant puts blocks into the store in dir, without a look at them.
func plant(t *testing.T, dir string, planted ...blocks.Block) {
	t.Helper()
	disk, err := flatfs.CreateOrOpen(filepath.Join(dir, "blocks"), flatfs.NextToLast(2), false)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := blockstore.NewBlockstore(disk, blockstore.NoPrefix()).PutMany(context.Background(), planted); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecode(f *testing.F) {
	ten := block(f, cid.Raw, []byte("0123456789"))
	f.Add(file(f, 2, 20, part{ten, 10}, part{ten, 10}).RawData())
	f.Add(file(f, 1, 0).RawData())
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := content.Decode(block(t, cid.DagProtobuf, data)); err != nil && !errors.Is(err, content.ErrMalformed) {
			t.Error(err)
		}
	})
}
