package p2p

import "sync"

// A byteRing holds bytes in order, up to windowBytes of them, in a ring. The zero value
// is empty.
type byteRing struct {
	ring []byte
	at   int // the first byte
	size int
}

// smallRingBytes is the memory, in bytes, that an empty queue may keep for what
// comes. What needs more takes a buffer that queues share: of the next power of
// two, so that a queue takes twice the memory of what is in it at most.
const smallRingBytes = 1 << 10

// ringBuffers have smallRingBytes bytes, twice as many, and so on up to windowBytes.
var ringBuffers [9]sync.Pool

// bufferClass returns the index in queueBuffers of buffers for n bytes, and their
// size.
func bufferClass(n int) (class, size int) {
	for size = smallRingBytes; size < n; size *= 2 {
		class++
	}
	return class, size
}

func getBuffer(n int) []byte {
	class, size := bufferClass(n)
	if b, ok := ringBuffers[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, size)
}

func putBuffer(b []byte) {
	class, _ := bufferClass(len(b))
	ringBuffers[class].Put(&b)
}

func (q *byteRing) len() int { return q.size }

// part returns what the queue holds from one position to another, or the first
// part of it, until the queue is changed.
func (q *byteRing) part(from, to int) []byte {
	lo, hi := q.at+from, q.at+to
	if lo >= len(q.ring) {
		lo, hi = lo-len(q.ring), hi-len(q.ring)
	}
	return q.ring[lo:min(hi, len(q.ring))]
}

// push appends p.
func (q *byteRing) push(p []byte) {
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
func (q *byteRing) fit(need int) {
	var next byteRing
	if need < smallRingBytes/2 {
		next.ring = make([]byte, 2*need)
	} else {
		next.ring = getBuffer(need)
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
func (q *byteRing) pop(p []byte) (n int) {
	for n < len(p) && q.size > 0 {
		k := copy(p[n:], q.part(0, q.size))
		q.drop(k)
		n += k
	}
	return n
}

// drop removes the first n bytes.
func (q *byteRing) drop(n int) {
	q.at, q.size = q.at+n, q.size-n
	if q.at >= len(q.ring) {
		q.at -= len(q.ring)
	}
	if q.size == 0 {
		q.free()
	}
}

// free empties the queue.
func (q *byteRing) free() {
	if len(q.ring) >= smallRingBytes {
		putBuffer(q.ring)
		q.ring = nil
	}
	q.at, q.size = 0, 0
}

// release empties the queue and keeps no memory.
func (q *byteRing) release() {
	q.free()
	q.ring = nil
}
