package p2p

import (
	"context"

	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// A Lab is what a node stands on in place of the machine and its network, so
// that tests may hold both in their hands. Package peertest is made of it;
// programs have no use for it. The zero value changes nothing.
type Lab struct {
	// Key is the node's key. Default: nil, the one of Options.DataDir.
	Key crypto.PrivKey

	// Libp2p are options of the libp2p host, behind those of the node.
	Libp2p []config.Option

	// TCP makes the TCP transport, as libp2p.Transport takes it. Default: nil,
	// tcp.NewTCPTransport.
	TCP any

	// Stream is called with each stream that [Node.Open] opened or that a
	// handler is to take, and returns what is used in its place: the stream
	// itself, or one around it. Default: nil, the stream itself.
	Stream func(Stream) Stream

	// Started is called with the libp2p host before [Start] returns.
	Started func(host.Host)
}

type labKey struct{}

// WithLab returns a context in which the nodes that dstackless.Start starts
// stand in the lab.
func WithLab(ctx context.Context, lab *Lab) context.Context {
	return context.WithValue(ctx, labKey{}, lab)
}

// LabOf returns the lab of a context, or nil.
func LabOf(ctx context.Context) *Lab {
	lab, _ := ctx.Value(labKey{}).(*Lab)
	return lab
}

func (l *Lab) stream(s Stream) Stream {
	if l == nil || l.Stream == nil {
		return s
	}
	return l.Stream(s)
}

func (l *Lab) tcp() any {
	if l == nil || l.TCP == nil {
		return tcp.NewTCPTransport
	}
	return l.TCP
}

// key returns the lab's key, or that of the data folder.
func (o *Options) key() (crypto.PrivKey, error) {
	if o.Lab != nil && o.Lab.Key != nil {
		return o.Lab.Key, nil
	}
	return identity(o.DataDir)
}
