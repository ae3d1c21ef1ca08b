package network

import (
	"runtime"
	"sync/atomic"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// An operation is a send or a receive that waits. One with a session is owned
// by the peer at its other end; this peer, the home, only knows its id.
type operation struct {
	id      uint64
	owner   *session // nil: this peer
	encoded []byte   // value of a send, once it was encoded; of another peer's, while it is parked
	attempt uint64   // the last attempt of a send: what is said about another does not count

	// What follows is for the owner alone.
	payload  channel.Payload // of a send
	sink     channel.Sink    // of a receive
	endpoint *endpoint
	waiter   atomic.Uint32
	wakeup   chan struct{} // capacity 1: a signal, so that operations are recycled
	notify   func(error)   // of one that nobody waits for: takes its outcome
	err      error
	choice   *choice        // nil: not an alternative of a select
	deferred *deferredOffer // what is offered to a receive whose choice is tentative

	term      uint64 // the term of the home at the last attempt
	cancelErr error  // the context's error of a caller who gave up on an offered send

	ordered       bool // a send of a pipeline, of whichever peer
	done          bool // it has come to its end
	remoteVisible bool // other peers may know the id
	// registered says that the home has the operation in its queue.
	registered bool
	// blocks says that the home waits to hear of a send of the pipeline again.
	blocks bool
	// promised says that a receive was set aside for a send of another peer.
	promised bool
	// An offered send is out of the queue until its outcome is known.
	offered bool
	offer   offer

	// Links of the queue that holds the operation.
	in         *queue
	prev, next *operation
}

// unwanted returns why nobody waits for op any more, or nil.
func (op *operation) unwanted() error {
	switch {
	case op.cancelErr != nil:
		return op.cancelErr
	case op.choice != nil && op.choice.ended() != nil:
		return op.choice.ended()
	case op.endpoint.left:
		return channel.ErrClosed
	}
	return nil
}

// free reports whether a receive of the home's own may be set aside for a send.
func (op *operation) free() bool { return !op.promised && (op.choice == nil || op.choice.isOpen()) }

// wake tells whoever waits for op that it has come to its end.
func (op *operation) wake() {
	switch {
	case op.choice != nil:
		op.choice.concluded(op)
	case op.notify != nil:
		op.notify(op.err)
	default:
		if op.waiter.Swap(waiterDone) == waiterBlocked {
			op.wakeup <- struct{}{}
		}
	}
}

// wait waits until op has come to its end, or cancelled is closed, and reports
// whether op has. The other side is often about to come: until then others may
// run.
func (op *operation) wait(cancelled <-chan struct{}) bool {
	runtime.Gosched()
	if !op.waiter.CompareAndSwap(waiterRunning, waiterBlocked) {
		return true
	}
	if cancelled == nil {
		<-op.wakeup
		return true
	}
	select {
	case <-op.wakeup:
		return true
	case <-cancelled:
		return false
	}
}

// What the caller of an operation does.
const (
	waiterRunning = iota
	waiterBlocked // until something is in done
	waiterDone    // how it ended
)

// A deferredOffer is a value that was offered to a receive of a tentative choice.
type deferredOffer struct {
	from   *session
	origin p2p.ID // whose value it is
	frame  frame
}

// is reports whether it is this value that is kept.
func (k *deferredOffer) is(origin p2p.ID, send uint64) bool {
	return k.origin == origin && k.frame.send == send
}

// isAtHome reports whether the value is with the home, which has not answered.
func (op *operation) isAtHome(home *session) bool {
	return op.offered && op.offer.anyReceive && op.offer.via == home
}

// An offer is where an offered send went.
type offer struct {
	to          p2p.ID   // who decides over it
	via         *session // where the frame went; nil while a session is sought
	incarnation uint64   // of that peer, which saw it
	receive     uint64   // the receive that it is for
	matcher     *session // the home that made the match; nil: nobody to tell
	anyReceive  bool     // for no receive in particular: the home may choose
	resumed     bool     // its session was lost, and it is sought again
	asksOnly    bool     // again, but only whether it was taken: it is not its turn
}

// finish ends op with its outcome, and wakes its caller.
func (cs *channelState) finish(op *operation, err error) {
	cs.conclude(op, err)
	op.wake()
}

// conclude is finish without waking the caller, who would only wait for cs.mu.
func (cs *channelState) conclude(op *operation, err error) {
	op.remove()
	if (op.registered || op.blocks) && cs.home != nil {
		cs.home.send(frame{kind: withdraw, number: cs.number, send: op.id})
	}
	if op.remoteVisible {
		delete(cs.remoteVisible, op.id)
	}
	cs.endOffer(op)
	op.registered, op.blocks, op.remoteVisible, op.promised = false, false, false, false
	op.done = true
	cs.pending--
	op.err = err
	if k := op.deferred; k != nil {
		op.deferred = nil
		cs.refuseValue(k.from, &k.frame)
	}
	if op.notify != nil && op.sink == nil {
		op.endpoint.async--
		op.payload, op.encoded = nil, nil // whoever holds op may do so for long
	}
	if op.ordered {
		cs.pipeline.remove(op)
		cs.advancePipeline()
	}
}
