package peertest

import (
	"maps"
	"sync"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic is what a peer has said in one protocol. What the connection adds, to
// encrypt it and to bring it over, is not counted.
type Traffic struct {
	Writes int64 // to streams; most protocols say one thing with each
	Bytes  int64
}

// Traffic returns what peer i has said to others so far, in all its lives, by
// the ID of the protocol, as in "/dstackless/kad/1.0.0".
func (nw *Network) Traffic(i int) map[string]Traffic {
	return nw.nodes[i].meter.read()
}

// A meter counts what a peer says. It is a metrics.Reporter as far as libp2p
// uses one; libp2p's own measures rates too, by a clock that never rests.
type meter struct {
	metrics.Reporter // nil: nobody asks it

	mu   sync.Mutex
	said map[string]Traffic
}

func newMeter() *meter { return &meter{said: map[string]Traffic{}} }

// LogSentMessageStream is called with each write to a stream.
func (m *meter) LogSentMessageStream(size int64, p protocol.ID, _ peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.said[string(p)]
	t.Writes++
	t.Bytes += size
	m.said[string(p)] = t
}

// The others see the same from elsewhere.
func (m *meter) LogSentMessage(int64)                             {}
func (m *meter) LogRecvMessage(int64)                             {}
func (m *meter) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

func (m *meter) read() map[string]Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.said)
}
