package peertest

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/internal/testhook"
)

// A node is one place of the network: a peer in one of its lives, or none.
type node struct {
	nw    *Network
	index int
	key   crypto.PrivKey
	meter *meter

	life sync.Mutex // held to start, kill or close the peer
	end  func()     // ends what the peer's Close leaves

	mu    sync.Mutex
	peer  *dstackless.Peer
	host  host.Host // nil: no peer runs
	addrs []string  // where it listens, in all its lives
	gate  *gate     // of this life
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
	return &node{nw: nw, index: index, key: key, meter: newMeter(), end: func() {}, gate: newGate()}
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
		o.Listen = []string{nd.firstAddr()}
	}
	o.Bootstrap = nd.nw.contacts(nd.index)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	hooks := &testhook.Hooks{
		Libp2p:  []libp2p.Option{libp2p.BandwidthReporter(nd.meter)},
		TCP:     nd.transport,
		Stream:  nd.newLife().tap,
		Started: nd.started,
	}
	if o.DataDir == "" {
		hooks.Key = nd.key
	}
	if nd.nw.opts.QUIC {
		var overUDP []libp2p.Option
		overUDP, nd.end = nd.overUDP()
		hooks.Libp2p = append(hooks.Libp2p, overUDP...)
	}
	peer, err := dstackless.Start(testhook.With(ctx, hooks), &o)
	if err != nil {
		nd.stopped()
		nd.end()
		return err
	}
	nd.mu.Lock()
	nd.peer = peer
	nd.mu.Unlock()
	return nil
}

// firstAddr returns where the peer listens in its first life.
func (nd *node) firstAddr() string {
	switch {
	case nd.nw.opts.Simulated:
		return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", nd.ip(), firstPort)
	case nd.nw.opts.QUIC:
		return "/ip4/127.0.0.1/udp/0/quic-v1"
	}
	return "/ip4/127.0.0.1/tcp/0"
}

// started is called when the peer listens, before it connects to others.
func (nd *node) started(h host.Host) {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.host, nd.addrs = h, nil
	for _, a := range h.Network().ListenAddresses() {
		nd.addrs = append(nd.addrs, a.String())
		if addr, err := manet.ToNetAddr(a); err == nil {
			nd.nw.own(addr, nd.index)
		}
	}
}

func (nd *node) stopped() {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.host = nil
	nd.gate.open()
}

func (nd *node) currentGate() *gate {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	return nd.gate
}

// newLife returns the gate of a peer that is about to start.
func (nd *node) newLife() *gate {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.gate = newGate()
	return nd.gate
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
	nd.end()
	return err
}

// kill ends the peer, if one runs here, and lets nobody hear of it.
func (nd *node) kill() {
	nd.life.Lock()
	defer nd.life.Unlock()
	h := nd.running()
	if h == nil {
		return
	}
	nd.stopped() // from here on nothing leaves it and nothing reaches it
	nd.nw.resetRelays(func(r *relay) bool { return r.from == nd.index || r.to == nd.index })
	for _, id := range h.Network().Peers() {
		h.Network().ClosePeer(id) // it alone hears of it
	}
	nd.current().Close() // its errors are those of a peer that is cut off
	nd.end()
}

// contacts returns the addresses of the peers that peer i is told of: those that
// run and that it can reach, or the first of them.
func (nw *Network) contacts(i int) (addrs []string) {
	for _, nd := range nw.nodes {
		if nd.index == i || nd.running() == nil || nw.ways[i][nd.index].isSevered() {
			continue
		}
		if peer := nd.current(); peer != nil {
			all := peer.Addrs() // none if the test has closed it
			addrs = append(addrs, all[:min(len(all), 1)]...)
		}
		if len(addrs) > 0 && nw.opts.Sparse {
			break
		}
	}
	return addrs
}

// own notes who is at an address.
func (nw *Network) own(addr net.Addr, index int) {
	at, ok := endpointOf(addr)
	if !ok {
		return
	}
	nw.mu.Lock()
	defer nw.mu.Unlock()
	nw.owners[at] = index
}

func (nw *Network) owner(addr net.Addr) (index int, known bool) {
	at, ok := endpointOf(addr)
	if !ok {
		return 0, false
	}
	nw.mu.Lock()
	defer nw.mu.Unlock()
	index, known = nw.owners[at]
	return index, known
}
