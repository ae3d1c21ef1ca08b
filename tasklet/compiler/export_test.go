package compiler

import "context"

// A Queue is a queue.
type Queue struct{ q *queue }

// NewQueue is newQueue.
func NewQueue(slots int) Queue { return Queue{newQueue(slots)} }

// Enter and Leave are enter and leave.
func (q Queue) Enter(ctx context.Context, peer string) error { return q.q.enter(ctx, peer) }

// Leave is leave.
func (q Queue) Leave(peer string) { q.q.leave(peer) }

// Empty reports whether nobody has or waits for a turn.
func (q Queue) Empty() bool {
	q.q.mu.Lock()
	defer q.q.mu.Unlock()
	return len(q.q.busy) == 0 && len(q.q.waiting) == 0 && len(q.q.order) == 0
}

// Idle returns how many bytes of memory nobody uses.
func (c *Compiler) Idle() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle
}

// Owed returns for how many peers something is in use.
func (c *Compiler) Owed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inUse) + len(c.locks.named)
}
