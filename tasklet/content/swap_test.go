package content_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/ipfs/boxo/bitswap/message"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-msgio"

	"github.com/dstackless/dstackless/p2p"
)

// The peer that has given the first block of a file is lost before it is asked
// for the next, and was the only one. Another that comes gives the rest.
func TestGetWhenThePeerIsLost(t *testing.T) {
	root, leaves, data := manyBlocks(t, 400) // it takes a while to find that they are not on disk
	dir := t.TempDir()
	plant(t, dir, append(leaves, root)...)
	a, b := startOn(t, dir, tcp), startOn(t, t.TempDir(), tcp)
	lost := make(chan struct{})
	var once sync.Once
	swapper(t, b, func(n *p2p.Node, _ []cid.Cid) {
		once.Do(func() {
			defer close(lost)
			s := say(t, n, b, root)[0]
			io.ReadAll(s) // until it is taken in
			s.Conn().Close()
		})
	})
	ctx := within(t)
	go func() {
		select {
		case <-lost:
			connect(t, b, a)
		case <-ctx.Done():
		}
	}()
	get(t, b, root.Cid(), data)
}

// A peer may send more blocks at once than are taken in at a time, each on a
// stream of its own, and none of them twice.
func TestGetOnManyStreams(t *testing.T) {
	root, leaves, data := manyBlocks(t, 40)
	b := startOn(t, "", tcp)
	left := map[cid.Cid]blocks.Block{}
	for _, leaf := range leaves {
		left[leaf.Cid()] = leaf
	}
	var mu sync.Mutex
	var all []blocks.Block
	var first, second sync.Once
	swapper(t, b, func(n *p2p.Node, wants []cid.Cid) {
		first.Do(func() { say(t, n, b, root) })
		mu.Lock()
		defer mu.Unlock()
		for _, c := range wants {
			if leaf := left[c]; leaf != nil {
				all = append(all, leaf)
				delete(left, c)
			}
		}
		if len(left) == 0 {
			second.Do(func() { say(t, n, b, all...) })
		}
	})
	get(t, b, root.Cid(), data)
}

// manyBlocks makes a file of small blocks.
func manyBlocks(t *testing.T, many int) (root blocks.Block, leaves []blocks.Block, data []byte) {
	const regular, size = 2, 1024
	var parts []part
	for n := range many {
		leaf := random(size, byte(n))
		leaf[0], leaf[1] = byte(n>>8), byte(n)
		parts = append(parts, part{block(t, cid.Raw, leaf), size})
		leaves = append(leaves, parts[n].to)
		data = append(data, leaf...)
	}
	return file(t, regular, uint64(len(data)), parts...), leaves, data
}

// swapper starts a peer that hears by bitswap what another wants, and is connected
// to it.
func swapper(t *testing.T, to *member, hear func(n *p2p.Node, wants []cid.Cid)) {
	t.Helper()
	n, err := p2p.Start(&p2p.Options{Listen: []string{tcp}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	n.Handle(bsnet.ProtocolBitswap, func(s p2p.Stream) {
		defer s.Reset()
		for r := msgio.NewVarintReaderSize(s, network.MessageSizeMax); ; {
			m, _, err := message.FromMsgReader(r)
			if err != nil {
				return
			}
			var wants []cid.Cid
			for _, e := range m.Wantlist() {
				if !e.Cancel {
					wants = append(wants, e.Cid)
				}
			}
			hear(n, wants)
		}
	})
	if _, err := n.Connect(within(t), to.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
}

// say sends blocks, each on a stream of its own, and all of them at once.
func say(t *testing.T, n *p2p.Node, to *member, all ...blocks.Block) (streams []network.Stream) {
	var texts []bytes.Buffer
	for _, one := range all {
		m := message.New(false)
		m.AddBlock(one)
		var text bytes.Buffer
		s, err := n.Host().NewStream(context.Background(), to.ID(), bsnet.ProtocolBitswap)
		if err == nil {
			err = m.ToNetV1(&text)
		}
		if err == nil {
			_, err = s.Write(text.Next(1))
		}
		if err != nil {
			t.Error(err)
			return
		}
		streams, texts = append(streams, s), append(texts, text)
	}
	for i, s := range streams {
		if _, err := s.Write(texts[i].Bytes()); err != nil {
			t.Errorf("stream %d of %d: %v", i, len(streams), err)
		}
		s.CloseWrite()
	}
	return streams
}
