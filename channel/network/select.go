package network

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// Select implements [channel.Space].
func (s *Space) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	sel := selection{
		choice: choice{id: s.choices.Add(1), self: s.node.ID(), wake: make(chan struct{}, 1)},
		ops:    make([]*operation, len(alternatives)),
	}
	for i, a := range alternatives {
		e, ok := a.End.(*endpoint)
		if !ok || e.channel.space != s || (a.Payload == nil) == (a.Sink == nil) {
			return -1, errors.New("an alternative is no operation of this space")
		}
		sel.ops[i] = &operation{payload: a.Payload, sink: a.Sink, endpoint: e, choice: &sel.choice}
	}
	if op := sel.skippedTooOften(); op != nil {
		sel.begin(op)
		sel.nothingWaits(ctx, op)
	}
	for _, i := range rand.Perm(len(sel.ops)) {
		if state, _ := sel.look(); state == decided {
			break
		}
		sel.begin(sel.ops[i])
	}
	if !wait && sel.nothingWaits(ctx, sel.ops...) {
		sel.end(errIdle)
	}
	n, err := sel.await(ctx)
	sel.withdrawOthers(n)
	if err == errIdle {
		return -1, nil
	}
	return n, err
}

// errIdle ends a select that does not wait.
var errIdle = errors.New("nothing can be done now")

// A selection is a select under way.
type selection struct {
	choice
	ops []*operation
}

// maxSkips is how many selects in a row may choose another alternative before
// one is the first to be tried: 16.
const maxSkips = 16

// skippedTooOften returns an alternative that others have been chosen before for long,
// or nil. What can be done on this peer is done before a distant home has
// answered: without this, it might always be.
func (s *selection) skippedTooOften() *operation {
	for _, op := range s.ops {
		cs := op.endpoint.channel
		cs.mu.Lock()
		is := op.endpoint.skips >= maxSkips
		if is {
			op.endpoint.skips = 0
		}
		cs.mu.Unlock()
		if is {
			return op
		}
	}
	return nil
}

// begin submits an alternative, once.
func (s *selection) begin(op *operation) {
	cs := op.endpoint.channel
	cs.mu.Lock()
	defer cs.unlock()
	if op.id != 0 || op.done {
		return
	}
	err := op.endpoint.ready()
	if err == nil && cs.closed && op.sink == nil {
		err = channel.ErrClosed
	}
	if err != nil {
		op.err, op.done = err, true
		s.concluded(op)
		return
	}
	cs.admit(op)
	cs.submit(op)
}

// await waits until the choice is decided and returns what it is.
func (s *selection) await(ctx context.Context) (int, error) {
	cancelled := ctx.Done()
	var late <-chan time.Time
	for {
		state, op := s.look()
		if state == decided {
			return s.outcome(op)
		}
		select {
		case <-s.wake:
			s.retry()
		case <-cancelled:
			cancelled = nil
			if s.end(ctx.Err()) {
				continue
			}
			if _, op := s.look(); op != nil {
				op.endpoint.channel.mu.Lock()
				op.endpoint.channel.withdraw(op, ctx.Err())
				op.endpoint.channel.unlock()
			}
			timer := time.NewTimer(withdrawTimeout)
			defer timer.Stop()
			late = timer.C
		case <-late:
			if _, op := s.look(); op != nil {
				cs := op.endpoint.channel
				cs.mu.Lock()
				if op.offered {
					cs.endInDoubt(op)
				}
				cs.unlock()
			}
		}
	}
}

func (s *selection) outcome(chosen *operation) (int, error) {
	for i, op := range s.ops {
		if op == chosen {
			op.endpoint.channel.mu.Lock()
			defer op.endpoint.channel.mu.Unlock()
			return i, op.err
		}
	}
	return -1, s.ended()
}

// retry looks at every alternative again after something has happened.
func (s *selection) retry() {
	for _, op := range s.ops {
		cs := op.endpoint.channel
		cs.mu.Lock()
		cs.retry(op)
		cs.unlock()
	}
}

// retry submits an alternative that has begun again, if it waits for nothing.
func (cs *channelState) retry(op *operation) {
	switch {
	case op.done:
		op.choice.concluded(op)
	case op.id == 0 || op.offered || !op.choice.isOpen():
	case op.deferred != nil:
		if commit(op, nil) {
			k := op.deferred
			op.deferred = nil
			cs.acceptValue(k.from, &k.frame, op)
		}
	default:
		cs.submit(op)
	}
}

// withdrawOthers withdraws all but the chosen alternative.
func (s *selection) withdrawOthers(chosen int) {
	for i, op := range s.ops {
		cs := op.endpoint.channel
		cs.mu.Lock()
		switch {
		case i == chosen:
			op.endpoint.skips = 0
		case chosen >= 0:
			op.endpoint.skips++
		}
		if op.id != 0 && !op.done {
			cs.conclude(op, nil)
		}
		cs.unlock()
	}
}

const (
	// probeTimeout is how long a select waits at most to know whether an
	// alternative can be done at once: a second.
	probeTimeout = time.Second
	// probeInterval is how long it waits for a match that was made to come
	// here, before it asks again.
	probeInterval = 5 * time.Millisecond
)

// nothingWaits reports whether nothing waits that one of ops, which have begun, could
// meet. It asks the homes. It reports false when the choice was made meanwhile.
func (s *selection) nothingWaits(ctx context.Context, ops ...*operation) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for ctx.Err() == nil {
		met := false // an alternative is being done
		for _, op := range ops {
			if state, _ := s.look(); state != open {
				met = true
				break
			}
			cs := op.endpoint.channel
			cs.mu.Lock()
			home := cs.home
			waits := op.in != nil && !op.promised
			asks := home != nil && op.registered
			cs.mu.Unlock()
			if asks {
				c, err := cs.probeHome(ctx, op.id)
				waits = err != nil || c.waits
			}
			if !waits {
				met = true
				break
			}
		}
		if !met {
			return true
		}
		if state, _ := s.look(); state == decided {
			return false
		}
		select {
		case <-s.wake:
			s.retry()
		case <-time.After(probeInterval):
		case <-ctx.Done():
		}
	}
	return true
}
