// Package history checks what programs saw of a channel against the rules that
// channels promise.
//
// Tests record each call on a channel in a [History], with when it began, when
// it returned and what it returned, and ask in the end what is wrong with that:
//
//	var h history.History[string]
//	...
//	err := h.Send(ctx, "alice", "v1", c.Send)      // in one goroutine
//	v, err := h.Receive(ctx, "bob", c.Receive)     // in another, at any peer
//	...
//	for _, violation := range h.Violations() {
//		t.Error(violation)
//	}
//
// All calls on one channel must be recorded, and all of its values should be
// different, or what became of which cannot be told.
//
// # The rules
//
//  0. A channel is a rendezvous: a value is received while its Send runs. One
//     that is in doubt may be received later.
//  1. A value whose Send returned nil was received exactly once.
//  2. A value whose Send returned any other error was never received, unless
//     the error is [channel.ErrInDoubt]: then at most once.
//  3. Values from one goroutine arrive in the order in which it sent them, as
//     seen by one receiver.
//  4. A context that ends withdraws the operation: it returns soon, and no
//     operation returns the error of a context that has not ended. That what it
//     returns is true is seen by the rules above.
//
// What a history cannot show is that something should have happened: two who
// wait for each other forever break no rule. Give the contexts of a test a
// deadline, and have it send a last value that must arrive.
package history

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A History is what was called on one channel. The zero History is empty. It may
// be used by several goroutines at once.
type History[V comparable] struct {
	// Patience is how long a call may go on after its context has ended. A
	// send that a peer is just taking waits up to 5 seconds for the outcome.
	// Default: 0, 10 seconds.
	Patience time.Duration

	mu    sync.Mutex
	calls []*Call[V]
}

// A Kind says what was called.
type Kind uint8

const (
	// Send is what gives a value: Send, SendAsync, SendError, an item of
	// SendAll, an alternative of a Select.
	Send Kind = iota + 1
	// Receive is what takes one: Receive, a turn of a loop over All, an
	// alternative of a Select.
	Receive
)

func (k Kind) String() string {
	switch k {
	case Send:
		return "send"
	case Receive:
		return "receive"
	}
	return fmt.Sprintf("Kind(%d)", k)
}

// A Call is one operation.
type Call[V comparable] struct {
	Kind Kind
	// Who names the goroutine or tasklet that made the call. Rule 3 is about
	// its calls in the order in which they were begun. Those that receive must
	// not overlap.
	Who string
	// Value was sent, or received if Err is nil.
	Value V
	// Err is what the call returned.
	Err error
	// Start and End are when the call was made and when it returned. A call
	// that did not return has no End, and what came of it is not known.
	Start, End time.Time
	// Ended is when the context of the call ended; zero if it did not, before
	// the call returned.
	Ended time.Time
	// Unbound says that nothing is known of the call's context.
	Unbound bool
}

func (c *Call[V]) String() string {
	what := fmt.Sprintf("%s by %s", c.Kind, c.Who)
	if c.Kind == Send || c.Err == nil {
		what = fmt.Sprintf("%s of %v by %s", c.Kind, c.Value, c.Who)
	}
	switch {
	case c.End.IsZero():
		return what + ", which did not return"
	case c.Err != nil:
		return fmt.Sprintf("%s, which returned %q after %v", what, c.Err, c.took())
	}
	return fmt.Sprintf("%s, which returned nil after %v", what, c.took())
}

func (c *Call[V]) took() time.Duration { return c.End.Sub(c.Start).Round(time.Microsecond) }

// Send records that who sends v with send, such as the method Send of a channel,
// and returns what that returned.
func (h *History[V]) Send(ctx context.Context, who string, v V, send func(context.Context, V) error) error {
	done := h.Sending(ctx, who, v)
	err := send(ctx, v)
	done(err)
	return err
}

// Receive records that who receives with receive, such as the method Receive of
// a channel, and returns what that returned.
func (h *History[V]) Receive(ctx context.Context, who string, receive func(context.Context) (V, error)) (V, error) {
	done := h.Receiving(ctx, who)
	v, err := receive(ctx)
	done(v, err)
	return v, err
}

// Sending records that who begins to send v. The caller tells the outcome. Of a
// Select each alternative is begun; of those that were not chosen the outcome
// is any error but that of a context.
func (h *History[V]) Sending(ctx context.Context, who string, v V) (done func(error)) {
	c := &Call[V]{Kind: Send, Who: who, Value: v}
	finish := h.begin(ctx, c)
	return func(err error) { finish(v, err) }
}

// Receiving records that who begins to receive. The caller tells the outcome. An
// error that was sent in place of a value is a value, too: tell which.
func (h *History[V]) Receiving(ctx context.Context, who string) (done func(V, error)) {
	return h.begin(ctx, &Call[V]{Kind: Receive, Who: who})
}

func (h *History[V]) begin(ctx context.Context, c *Call[V]) func(V, error) {
	// Told in a goroutine, so perhaps late: which is to the call's advantage.
	var ended time.Time
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		ended = time.Now()
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	c.Start = time.Now()
	return func(v V, err error) {
		over := ctx.Err() != nil
		stop()
		h.mu.Lock()
		defer h.mu.Unlock()
		c.Value, c.Err, c.End = v, err, time.Now()
		if c.Ended = ended; over && ended.IsZero() {
			c.Ended = c.End
		}
	}
}

// Add records a call that was observed elsewhere. Calls of one goroutine are
// added in their order. Times that are compared must be of one clock.
func (h *History[V]) Add(c Call[V]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, &c)
}

// Calls returns what was recorded, in the order in which it began.
func (h *History[V]) Calls() []Call[V] {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := make([]Call[V], 0, len(h.calls))
	for _, c := range h.calls {
		calls = append(calls, *c)
	}
	slices.SortStableFunc(calls, func(a, b Call[V]) int { return a.Start.Compare(b.Start) })
	return calls
}
