package p2p

import (
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/dstackless/dstackless/p2p/quota"
)

// metPeersMax is how many peers are remembered with whom something was done.
const metPeersMax = 4096

// known are the peers that are no strangers.
type known struct {
	mu        sync.Mutex
	protected map[ID]bool
	met       *lru.Cache[ID, struct{}]
}

func newKnown() *known {
	met, _ := lru.New[ID, struct{}](metPeersMax) // the size is valid
	return &known{protected: map[ID]bool{}, met: met}
}

func (k *known) has(id ID) bool {
	k.mu.Lock()
	protected := k.protected[id]
	k.mu.Unlock()
	return protected || k.met.Contains(id)
}

func (k *known) protect(id ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.protected[id] = true
}

// protectTag is the connection manager's tag of protected peers.
const protectTag = "protected"

// Protect has the node count peers among those it knows, until it closes: those
// that its owner has named. Their connections are not dropped when there are too
// many. A part of everything that is for all peers, of connections, streams and
// memory, is kept for known peers. All others are strangers, and do not get that.
// It holds for what a peer takes from then on.
func (n *Node) Protect(ids ...ID) {
	for _, id := range ids {
		n.known.protect(id)
		n.host.ConnManager().Protect(id, protectTag)
	}
}

// Recognize has the node count a peer among those it knows, because something was
// done with it that no stranger brings about: it has proved that it knows a
// channel's name, or hosts a tasklet of this peer. The last 4,096 such peers are
// remembered. See [Node.Protect].
func (n *Node) Recognize(id ID) { n.known.met.Add(id, struct{}{}) }

// Holder returns a peer as one that takes from a pool, see package quota: where
// it is connected from, and whether it is known.
func (n *Node) Holder(id ID) quota.Holder { return n.resources.holder(id) }
