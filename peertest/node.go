package peertest

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/p2p"
)

// A node is one place of the network: a peer in one of its lives, or none.
type node struct {
	nw    *Network
	index int
	key   crypto.PrivKey

	life sync.Mutex // held to start, kill or close the peer

	mu    sync.Mutex
	peer  *dstackless.Peer
	host  host.Host // nil: no peer runs
	addrs []string  // where it listens, in all its lives
}

func newNode(nw *Network, index int) *node {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], nw.opts.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(index))
	rand.NewChaCha8(seed).Read(seed[:])
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err) // the key is of the right length
	}
	return &node{nw: nw, index: index, key: key}
}

func (nd *node) current() *dstackless.Peer {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	return nd.peer
}

// running returns the libp2p host of the peer that runs here, or nil.
func (nd *node) running() host.Host {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	return nd.host
}

// start starts a peer here: the first one, or the next.
func (nd *node) start() error {
	nd.life.Lock()
	defer nd.life.Unlock()
	if nd.running() != nil {
		return errors.New("it runs")
	}
	o := dstackless.Options{Accept: []string{dstackless.AcceptAny}}
	if nd.nw.opts.Peer != nil {
		nd.nw.opts.Peer(nd.index, &o)
	}
	o.Listen = nd.addrs
	if o.Listen == nil {
		o.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	o.Bootstrap = nd.nw.contact(nd.index)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	lab := &p2p.Lab{
		TCP:     nd.transport,
		Started: nd.started,
	}
	if o.DataDir == "" {
		lab.Key = nd.key
	}
	peer, err := dstackless.Start(p2p.WithLab(ctx, lab), &o)
	if err != nil {
		nd.stopped()
		return err
	}
	nd.mu.Lock()
	nd.peer = peer
	nd.mu.Unlock()
	return nil
}

// started is called when the peer listens, before it connects to others.
func (nd *node) started(h host.Host) {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.host, nd.addrs = h, nil
	for _, a := range h.Network().ListenAddresses() {
		nd.addrs = append(nd.addrs, a.String())
		if addr, err := manet.ToNetAddr(a); err == nil {
			nd.nw.own(addr.String(), nd.index)
		}
	}
}

func (nd *node) stopped() {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.host = nil
}

// close closes the peer in good order, if one runs here.
func (nd *node) close() error {
	nd.life.Lock()
	defer nd.life.Unlock()
	if nd.running() == nil {
		return nil
	}
	err := nd.current().Close()
	nd.stopped()
	return err
}

// kill ends the peer, if one runs here, and lets nobody hear of it.
func (nd *node) kill() {
	nd.life.Lock()
	defer nd.life.Unlock()
	if nd.running() == nil {
		return
	}
	nd.stopped() // from here on nothing leaves it and nothing reaches it
	nd.nw.resetRelays(func(r *relay) bool { return r.from == nd.index || r.to == nd.index })
	nd.current().Close() // its errors are those of a peer that is cut off
}

// contact returns the address of a peer that can tell peer i of the others:
// the first one that runs and that i can reach.
func (nw *Network) contact(i int) []string {
	for _, nd := range nw.nodes {
		if nd.index == i || nd.running() == nil || nw.ways[i][nd.index].isSevered() {
			continue
		}
		if peer := nd.current(); peer != nil {
			if addrs := peer.Addrs(); len(addrs) > 0 {
				return addrs[:1]
			}
		}
	}
	return nil
}

// own notes who is at an address.
func (nw *Network) own(addr string, index int) {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	nw.owners[addr] = index
}

func (nw *Network) owner(addr string) (index int, known bool) {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	index, known = nw.owners[addr]
	return index, known
}
