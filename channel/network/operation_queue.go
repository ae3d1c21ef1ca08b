package network

// A queue holds operations in the order of their arrival, which for those of
// one owner is that of their ids. The zero queue is empty.
type queue struct {
	first, last *operation
	length      int
}

// push puts op at the end.
func (q *queue) push(op *operation) { q.insert(op, q.last) }

// restore puts op before what its owner started later, else at the end: a peer
// that has nothing in the queue does not pass those that wait.
func (q *queue) restore(op *operation) {
	after := q.last
	for o := q.last; o != nil && (o.owner != op.owner || o.id > op.id); o = o.prev {
		if o.owner == op.owner {
			after = o.prev
		}
	}
	q.insert(op, after)
}

// insert puts op behind after; nil means first.
func (q *queue) insert(op, after *operation) {
	op.in, op.prev = q, after
	if after == nil {
		op.next, q.first = q.first, op
	} else {
		op.next, after.next = after.next, op
	}
	if op.next == nil {
		q.last = op
	} else {
		op.next.prev = op
	}
	q.length++
}

// remove takes op out of the queue that holds it, if one does.
func (op *operation) remove() {
	q := op.in
	if q == nil {
		return
	}
	if op.prev == nil {
		q.first = op.next
	} else {
		op.prev.next = op.next
	}
	if op.next == nil {
		q.last = op.prev
	} else {
		op.next.prev = op.prev
	}
	op.in, op.prev, op.next = nil, nil, nil
	q.length--
}
