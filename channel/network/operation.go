package network

import (
	"runtime"
	"sync/atomic"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// An operation is a send or a receive that waits. One with a session is owned
// by the peer at its other end; this peer, the home, only knows its ID.
//
// Where an operation of this peer is follows from these fields:
//
//	state        fields                                  next
//	queued       in                                      registered, set aside, offered, done
//	registered   in, registered                          queued (home lost), offered (match), done
//	held back    in, blocks (send of a pipeline)         queued (home lost), registered, done
//	set aside    in, promised (receive at its home)      queued (match failed), done
//	at home      offered, offer.anyReceive               registered (queued frame), offered (match), resuming, done
//	dialling     offered, no offer.via                   offered, queued (nothing was sent), done
//	offered      offered, offer.via                      done, queued (refused), resuming (session lost)
//	resuming     offered, offer.resumed, no offer.via    offered, at home, done (in doubt)
//	withdrawn    none (alternative whose offer failed)   queued (the select tries again), done
//	done         done                                    -
//
// An alternative is registered without a value, and is never at home. Everything
// else is an attribute that the states share: ordered, remoteVisible, cancelErr.
type operation struct {
	id      uint64
	owner   *session // nil: this peer
	encoded []byte   // value of a send, once it was encoded; of another peer's, while it is parked here
	attempt uint64   // number of a send's last attempt; answers to others are ignored

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
	cancelErr error  // why the caller gave up on an offered send; nil: it did not

	ordered       bool // a send of a pipeline, of this peer or another
	done          bool // the operation has an outcome
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
	to          p2p.ID   // the peer that decides over the send
	via         *session // session of the frame; nil while a peer is dialled
	incarnation uint64   // incarnation of that peer that saw the send
	receive     uint64   // the receive that the send is offered to
	matcher     *session // the home that made the match; nil: nobody to tell
	anyReceive  bool     // the home chooses the receive
	resumed     bool     // the session was lost, and the peer is asked again
	asksOnly    bool     // ask only whether the value was accepted: it is not the send's turn
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
