// Package testhook lets the tests of this module replace parts of a peer. Only
// packages of this module can use it.
package testhook

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// Hooks replace parts of a p2p.Node. A node that has hooks uses no relays, looks
// for no peers on the LAN and asks no router for a port. The zero value replaces
// nothing else, and neither does a nil pointer.
type Hooks struct {
	// Key is the node's key. Default: nil, the key in the data folder.
	Key crypto.PrivKey

	// Libp2p are further options of the libp2p host. They are applied after the
	// node's own.
	Libp2p []config.Option

	// TCP makes the TCP transport: a constructor as libp2p.Transport takes it.
	// Default: nil, tcp.NewTCPTransport.
	TCP any

	// Stream is called with each stream before its user gets it: streams that
	// p2p.Node.Open opened, and streams that a handler is called with. The user
	// gets what Stream returns. Default: nil, the stream itself.
	Stream func(network.Stream) network.Stream

	// Wall returns what the clock of the machine shows. Default: nil, time.Now.
	Wall func() time.Time

	// Started is called with the libp2p host before p2p.Start returns.
	// Default: nil.
	Started func(host.Host)
}

type contextKey struct{}

// With returns a context that makes dstackless.Start use h for the nodes that it
// starts.
func With(ctx context.Context, h *Hooks) context.Context {
	return context.WithValue(ctx, contextKey{}, h)
}

// From returns the hooks in ctx, or nil.
func From(ctx context.Context) *Hooks {
	h, _ := ctx.Value(contextKey{}).(*Hooks)
	return h
}

// WrapStream returns what the user of a stream gets in place of s.
func (h *Hooks) WrapStream(s network.Stream) network.Stream {
	if h == nil || h.Stream == nil {
		return s
	}
	return h.Stream(s)
}

// Now returns what the clock of the machine shows.
func (h *Hooks) Now() time.Time {
	if h == nil || h.Wall == nil {
		return time.Now()
	}
	return h.Wall()
}

// NewTCP returns the constructor of the TCP transport.
func (h *Hooks) NewTCP() any {
	if h == nil || h.TCP == nil {
		return tcp.NewTCPTransport
	}
	return h.TCP
}
