package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

const (
	// defaultLimit is how many bytes a relay carries that does not say.
	defaultLimit = 128 << 10
	// overhead is how much of that, at most, is left to handshakes, to what
	// libp2p says by itself, and to acknowledgements.
	overhead = 24 << 10
	// leaveTimeout is how long the streams on a relayed connection that is
	// spent have to hear that all they sent was received.
	leaveTimeout = 3 * time.Second
)

// A budget is what the lasting streams on a relayed connection may still send.
// A relay that cuts a connection throws away what is on its way, which may be
// all that was ever sent on it. So the streams stop before, wait until all was
// received, and take the next connection.
type budget struct {
	conn network.Conn

	mu    sync.Mutex
	left  int
	spent bool
	on    map[*carrier]bool
}

// budgetOf returns the budget of a connection, or nil if that is a direct one.
func (n *Node) budgetOf(conn network.Conn) *budget {
	stat := conn.Stat()
	if !stat.Limited {
		return nil
	}
	limit := defaultLimit
	if v, ok := stat.Extra[client.StatLimitData].(uint64); ok && v > 0 {
		limit = int(min(v, 1<<30))
	}
	b, _ := n.budgets.LoadOrStore(conn, &budget{
		conn: conn, left: limit - min(overhead, limit/2), on: map[*carrier]bool{},
	})
	if conn.IsClosed() { // nobody would take it away any more
		n.budgets.Delete(conn)
	}
	return b.(*budget)
}

// join adds a carrier.
func (b *budget) join(c *carrier) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on[c] = true
}

// take takes n bytes for a piece. If there is not so much left, nobody gets any
// more, and the carriers are woken to leave.
func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent {
		return false
	}
	if b.left -= n; b.left >= 0 {
		return true
	}
	b.spent = true
	for c := range b.on {
		go c.l.wake()
	}
	time.AfterFunc(leaveTimeout, func() { b.conn.Close() })
	return false
}

func (b *budget) isSpent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// leave takes a carrier away. The last one closes a connection that is spent.
func (b *budget) leave(c *carrier) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.on, c)
	if b.spent && len(b.on) == 0 {
		go b.conn.Close()
	}
}
