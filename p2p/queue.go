package p2p

import "sync"

// A queue holds bytes in order, not more than window of them. The zero value is
// an empty one.
type queue struct {
	buf []byte
	at  int // what is before has left
}

// smallQueue is the memory, in bytes, that an empty queue may keep for what
// comes. What needs more takes a large buffer, which queues share.
const smallQueue = 16 << 10

type largeBuffer [2 * window]byte

var largeBuffers = sync.Pool{New: func() any { return new(largeBuffer) }}

func (q *queue) len() int { return len(q.buf) - q.at }

// bytes returns all that the queue holds, until it is changed.
func (q *queue) bytes() []byte { return q.buf[q.at:] }

// push appends p. A byte is moved once, on average, however long the queue is.
func (q *queue) push(p []byte) {
	if len(q.buf)+len(p) > cap(q.buf) {
		q.fit(q.len() + len(p))
	}
	q.buf = append(q.buf, p...)
}

// fit makes room for need bytes in all.
func (q *queue) fit(need int) {
	to := q.buf[:0]
	switch {
	case 2*need <= cap(q.buf):
	case 2*need <= smallQueue:
		to = make([]byte, 0, 2*need)
	default:
		to = largeBuffers.Get().(*largeBuffer)[:0]
	}
	old := *q
	q.buf, q.at = append(to, q.bytes()...), 0
	if cap(old.buf) != cap(to) {
		old.free()
	}
}

// drop removes the first n bytes.
func (q *queue) drop(n int) {
	q.at += n
	if q.at < len(q.buf) {
		return
	}
	q.free()
}

// free empties the queue.
func (q *queue) free() {
	if cap(q.buf) == len(largeBuffer{}) {
		largeBuffers.Put((*largeBuffer)(q.buf[:cap(q.buf)]))
		q.buf = nil
	}
	q.buf, q.at = q.buf[:0], 0
}
