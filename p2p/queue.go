package p2p

import "sync"

// A queue holds bytes in order, not more than window of them: a ring. The zero
// value is an empty one.
type queue struct {
	ring []byte
	at   int // the first byte
	size int
}

// smallQueue is the memory, in bytes, that an empty queue may keep for what
// comes. What needs more takes a buffer that queues share: of the next power of
// two, so that a queue takes twice the memory of what is in it at most.
const smallQueue = 1 << 10

// queueBuffers have smallQueue bytes, twice as many, and so on up to window.
var queueBuffers [9]sync.Pool

// bufferClass returns the index in queueBuffers of buffers for n bytes, and their
// size.
func bufferClass(n int) (class, size int) {
	for size = smallQueue; size < n; size *= 2 {
		class++
	}
	return class, size
}

func takeBuffer(n int) []byte {
	class, size := bufferClass(n)
	if b, ok := queueBuffers[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, size)
}

func giveBuffer(b []byte) {
	class, _ := bufferClass(len(b))
	queueBuffers[class].Put(&b)
}

func (q *queue) len() int { return q.size }

// part returns what the queue holds from one position to another, or the first
// part of it, until the queue is changed.
func (q *queue) part(from, to int) []byte {
	lo, hi := q.at+from, q.at+to
	if lo >= len(q.ring) {
		lo, hi = lo-len(q.ring), hi-len(q.ring)
	}
	return q.ring[lo:min(hi, len(q.ring))]
}

// push appends p.
func (q *queue) push(p []byte) {
	if q.size+len(p) > len(q.ring) {
		q.fit(q.size + len(p))
	}
	end := q.at + q.size
	if end >= len(q.ring) {
		end -= len(q.ring)
	}
	n := copy(q.ring[end:], p)
	copy(q.ring, p[n:])
	q.size += len(p)
}

// fit makes room for need bytes in all.
func (q *queue) fit(need int) {
	var next queue
	if need < smallQueue/2 {
		next.ring = make([]byte, 2*need)
	} else {
		next.ring = takeBuffer(need)
	}
	for q.size > 0 {
		first := q.part(0, q.size)
		next.push(first)
		q.drop(len(first))
	}
	q.free()
	*q = next
}

// pop moves the first bytes to p, and returns how many.
func (q *queue) pop(p []byte) (n int) {
	for n < len(p) && q.size > 0 {
		k := copy(p[n:], q.part(0, q.size))
		q.drop(k)
		n += k
	}
	return n
}

// drop removes the first n bytes.
func (q *queue) drop(n int) {
	q.at, q.size = q.at+n, q.size-n
	if q.at >= len(q.ring) {
		q.at -= len(q.ring)
	}
	if q.size == 0 {
		q.free()
	}
}

// free empties the queue.
func (q *queue) free() {
	if len(q.ring) >= smallQueue {
		giveBuffer(q.ring)
		q.ring = nil
	}
	q.at, q.size = 0, 0
}

// release empties the queue and keeps no memory.
func (q *queue) release() {
	q.free()
	q.ring = nil
}
