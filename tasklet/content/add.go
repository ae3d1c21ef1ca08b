package content

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
)

// What makes a CID: written down here, so that no change of boxo's defaults
// changes the names of programs.
const (
	chunkSize = 256 << 10
	maxLinks  = 174
)

var cidBuilder = cid.V1Builder{Codec: cid.DagProtobuf, MhType: multihash.SHA2_256}

// Add stores data, announces it, and returns its CID. data is not kept. Adding
// what is there already is cheap. When ctx ends before all is stored, some
// blocks may stay; they do no harm.
func (s *Store) Add(ctx context.Context, data []byte) (cid.Cid, error) {
	if !s.begin() {
		return cid.Undef, fmt.Errorf("content: add: %w", ErrClosed)
	}
	defer s.work.Done()
	ctx, cancel := s.until(ctx)
	defer cancel()
	s.makeRoom(ctx, int64(len(data))) // one's own is not refused
	s.stock.stays.RLock()
	defer s.stock.stays.RUnlock()
	dag := merkledag.NewDAGService(s.own)
	batch := ipld.NewBatch(ctx, dag)
	root, err := layOut(adder{dag, batch}, data)
	if err == nil {
		err = batch.Commit()
	}
	if err == nil {
		err = s.roots.add(root)
	}
	if err != nil {
		return cid.Undef, fmt.Errorf("content: add: %w", s.cause(ctx, err))
	}
	return root, nil
}

// CIDOf returns the CID that [Store.Add] gives data.
func CIDOf(data []byte) (cid.Cid, error) { return layOut(forgetter{}, data) }

// layOut cuts data into blocks and adds them to a DAG.
func layOut(dag ipld.DAGService, data []byte) (cid.Cid, error) {
	params := helpers.DagBuilderParams{
		Maxlinks:   maxLinks,
		RawLeaves:  true,
		CidBuilder: cidBuilder,
		Dagserv:    dag,
	}
	helper, err := params.New(chunk.NewSizeSplitter(bytes.NewReader(data), chunkSize))
	if err != nil {
		return cid.Undef, err
	}
	root, err := balanced.Layout(helper)
	if err != nil {
		return cid.Undef, err
	}
	return root.Cid(), nil
}

// adder is a DAG service that stores in batches.
type adder struct {
	ipld.DAGService
	batch *ipld.Batch
}

func (a adder) Add(ctx context.Context, n ipld.Node) error { return a.batch.Add(ctx, n) }

// forgetter is a DAG service that stores nothing.
type forgetter struct{ ipld.DAGService }

func (forgetter) Add(context.Context, ipld.Node) error { return nil }

// cause is err, or ErrClosed when that is why a call of the store failed.
func (s *Store) cause(ctx context.Context, err error) error {
	if s.ctx.Err() != nil && ctx.Err() != nil {
		return ErrClosed
	}
	return err
}
