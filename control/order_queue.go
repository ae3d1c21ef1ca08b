package control

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// An orderQueue is the body of a request: the orders of a client, in JSON. To give
// an order never waits for the peer to read it. What it holds is bounded by the
// client, who gives no order before the last one was answered but one to confirm
// and one to stop.
type orderQueue struct {
	mu      sync.Mutex
	changed *sync.Cond
	orders  bytes.Buffer
	closed  bool
}

func newOrderQueue() *orderQueue {
	q := &orderQueue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put adds an order. It fails after Close, which the HTTP client calls, too, when
// the connection is gone.
func (q *orderQueue) put(o order) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return io.ErrClosedPipe
	}
	defer q.changed.Signal()
	return json.NewEncoder(&q.orders).Encode(o)
}

// Read waits for orders. After Close it returns what is left, and then io.EOF.
func (q *orderQueue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.orders.Len() == 0 && !q.closed {
		q.changed.Wait()
	}
	return q.orders.Read(p)
}

// Close says that there are no more orders.
func (q *orderQueue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
	return nil
}
