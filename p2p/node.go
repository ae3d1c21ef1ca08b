package p2p

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/dstackless/dstackless/internal/lifecycle"
	"github.com/dstackless/dstackless/internal/testhook"
	"github.com/dstackless/dstackless/p2p/quota"
)

// A Node is a peer on the network: one key, its listeners, its connections.
// Make it with [Start]; end it with [Node.Close].
type Node struct {
	host            host.Host
	started         atomic.Pointer[host.Host] // host, once it is there
	log             *slog.Logger
	watch           *watcher
	streams         *streamSet
	searches, dials *attempts
	finder          atomic.Pointer[Finder]
	addrs           addrMonitor
	reach           reach
	ports           *portMapper // or nil
	puncher         holePuncher
	punchTimes      punchSchedule
	losses          recentLosses
	blocks          *blocks
	clocks          clocks
	relayClients    *relayClients // or nil
	known           *known
	resources       *resources
	messages        *quota.Pool // bytes, see Whole
	probing         sync.Map    // connections that are probed
	relayedLogged   loggedPeers // peers that are, as the log has told
	budgets         sync.Map    // of relayed connections
	upgraded        sync.Map    // direct connections to peers that were relayed before

	keepMu sync.Mutex
	kept   map[ID]*maintainer

	ctx      context.Context // of work
	work     *lifecycle.Gate
	handlers *lifecycle.Gate // of streams; they end after the connections
	hooks    *testhook.Hooks // or nil

	closing  sync.Once
	closeErr error
}

// Start makes a node, reads or creates its key, and listens. A nil opts is
// valid and means all defaults.
func Start(opts *Options) (*Node, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	l, err := o.listening()
	if err != nil {
		return nil, err
	}
	if err := l.free(); err != nil {
		return nil, err
	}
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	n := &Node{streams: newStreamSet(), known: newKnown(), searches: newAttempts(firstPeerSearchInterval, peerSearchIntervalMax), dials: newAttempts(firstDialInterval, dialIntervalMax), messages: quota.New(messageBytes), kept: map[ID]*maintainer{}, clocks: clocks{peers: map[ID]clock{}}, log: o.Logger, hooks: o.TestHooks, work: lifecycle.NewGate(), handlers: lifecycle.NewGate()}
	n.ctx = n.work.Context()
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.blocks, err = newBlocks(o.DataDir); err != nil {
		return nil, fmt.Errorf("p2p: blocked peers: %w", err)
	}
	c, err := n.libp2p(&o, l, key)
	if err != nil {
		return nil, err
	}
	h, err := c.NewNode()
	if err != nil {
		return nil, fmt.Errorf("p2p: start: %w", err)
	}
	if l.all {
		if err := listens(h, l.addrs); err != nil {
			h.Close()
			return nil, err
		}
	}
	n.host = h
	n.started.Store(&h)
	n.known.protect(h.ID())
	if n.watch, err = newWatcher(h); err != nil {
		h.Close()
		return nil, fmt.Errorf("p2p: start: %w", err)
	}
	if err := n.startBackground(&o, l); err != nil {
		n.Close()
		return nil, fmt.Errorf("p2p: start: %w", err)
	}
	if o.TestHooks != nil && o.TestHooks.Started != nil {
		o.TestHooks.Started(h)
	}
	return n, nil
}

// listens reports the first of the wanted addresses that h doesn't listen on:
// libp2p is content when one of them works.
func listens(h host.Host, wanted []ma.Multiaddr) error {
	have := h.Network().ListenAddresses()
	for _, want := range wanted {
		found := false
		for _, a := range have {
			found = found || sameListener(want, a)
		}
		if found {
			continue
		}
		// Once more, to learn why.
		if err := h.Network().Listen(want); err != nil {
			return fmt.Errorf("p2p: listen on %s: %w", want, err)
		}
	}
	return nil
}

// sameListener reports whether a listener at got is what want asked for, where
// port 0 asks for any.
func sameListener(want, got ma.Multiaddr) bool {
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		anyPort := (w.Code() == ma.P_TCP || w.Code() == ma.P_UDP) && w.Value() == "0"
		if w.Code() != got[i].Code() || !anyPort && w.Value() != got[i].Value() {
			return false
		}
	}
	return true
}

// ID returns the node's own ID.
func (n *Node) ID() ID { return n.host.ID() }

// Addrs returns the addresses at which this node listens, each a full multiaddr
// that ends in /p2p/ID and that another peer can give to [Node.Connect]. An
// unspecified listen address is resolved to those of the machine's interfaces,
// loopback included; a node that is reached through relays has addresses that
// name them.
func (n *Node) Addrs() []string {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()})
	if err != nil {
		return nil // the node's own ID is valid
	}
	return texts(addrs)
}

// Host returns the libp2p host, for the packages of this module that speak
// protocols which other libraries implement. It is not for users.
func (n *Node) Host() host.Host { return n.host }

// Close ends the node: it stops listening, resets every stream, closes every
// connection and waits for the handlers that run. It may be called more than
// once, but not from a handler. Later calls of other methods return
// [ErrClosed], or nothing.
func (n *Node) Close() error {
	n.closing.Do(func() {
		n.handlers.Close()
		n.work.Close()
		n.work.Wait()
		n.streams.close(func() {
			if err := n.host.Close(); err != nil {
				n.closeErr = fmt.Errorf("p2p: close: %w", err)
			}
		})
		n.handlers.Wait()
		n.watch.close()
	})
	return n.closeErr
}

// usable returns the context's error, or ErrClosed once the node is closed.
func (n *Node) usable(ctx context.Context) error {
	if n.work.Closed() {
		return ErrClosed
	}
	return ctx.Err()
}

func texts(addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}
