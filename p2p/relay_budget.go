package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

const (
	// relayDataDefaultBytes is the limit of a relayed connection whose relay
	// does not tell its limit.
	relayDataDefaultBytes = 128 << 10
	// relayReserveBytes is how much of the limit, at most, is kept for handshakes,
	// libp2p's own protocols, and acks.
	relayReserveBytes = 24 << 10
	// drainTimeout is how long the streams wait for acks on a relayed connection
	// whose budget is spent.
	drainTimeout = 3 * time.Second
)

// A relayBudget is how many bytes the resumable streams on one relayed connection
// may still send. A relay that closes a connection drops what it has not forwarded,
// which may be all that was sent. So the streams stop before the limit, wait until
// all is acknowledged, and go on over the next connection.
type relayBudget struct {
	conn network.Conn

	mu    sync.Mutex
	left  int
	spent bool
	links map[*link]bool
}

// relayBudgetOf returns the budget of a relayed connection, or nil for a direct one.
func (n *Node) relayBudgetOf(conn network.Conn) *relayBudget {
	stat := conn.Stat()
	if !stat.Limited {
		return nil
	}
	limit := relayDataDefaultBytes
	if v, ok := stat.Extra[client.StatLimitData].(uint64); ok && v > 0 {
		limit = int(min(v, 1<<30))
	}
	b, _ := n.budgets.LoadOrStore(conn, &relayBudget{
		conn: conn, left: limit - min(relayReserveBytes, limit/2), links: map[*link]bool{},
	})
	if conn.IsClosed() { // disconnected has run already
		n.budgets.Delete(conn)
	}
	return b.(*relayBudget)
}

// join adds a link.
func (b *relayBudget) join(c *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[c] = true
}

// spend takes n bytes for a piece. If fewer are left, the budget is spent: it
// reports false from then on, and wakes all links so that they leave.
func (b *relayBudget) spend(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent {
		return false
	}
	if b.left -= n; b.left >= 0 {
		return true
	}
	b.spent = true
	for c := range b.links {
		go c.l.wake()
	}
	time.AfterFunc(drainTimeout, func() { b.conn.Close() })
	return false
}

func (b *relayBudget) isSpent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// leave removes a link. The last link closes the connection if the budget is spent.
func (b *relayBudget) leave(c *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.links, c)
	if b.spent && len(b.links) == 0 {
		go b.conn.Close()
	}
}
