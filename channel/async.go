package channel

import (
	"context"
	"fmt"
	"sync"
)

// Window is how many values may be on their way from one end of a channel, sent
// with [Channel.SendAsync] and not yet received: 1024.
const Window = 1024

// A Pending is a value on its way.
type Pending struct {
	name Name
	flow *flow

	// Guarded by the mutex of the flow.
	over       bool
	err        error
	done       chan struct{} // made for the first who waits
	end        Withdrawer
	watch      *watch
	prev, next *Pending
}

// Done returns a channel that is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} {
	p.flow.mu.Lock()
	defer p.flow.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.over {
			close(p.done)
		}
	}
	return p.done
}

// Wait waits until the value was received, and returns what Send would have
// returned. It may be called any number of times, or never.
func (p *Pending) Wait() error {
	p.flow.mu.Lock()
	over := p.over
	p.flow.mu.Unlock()
	if !over {
		<-p.Done()
	}
	return p.err
}

// An underway is a Pending with its value, which the endpoint forgets when it
// tells the outcome.
type underway[T any] struct {
	Pending
	value outgoing[T]
}

// SendAsync begins to send v and does not wait until it is received, only while
// [Window] values are on their way from this end. Values arrive in the order of
// the calls, and the rules of Send hold for each of them. When ctx ends, what is
// on its way is withdrawn, and what cannot be withdrawn is followed by nothing.
//
// What is on its way when the end is left, or the peer is closed, ends with
// [ErrClosed]: wait for the last Pending first.
func (c *Channel[T]) SendAsync(ctx context.Context, v T) *Pending {
	u := &underway[T]{Pending: Pending{name: c.name, flow: &c.flow}, value: outgoing[T]{value: v, spare: &c.buffers}}
	if err := c.flow.enter(ctx, &u.Pending); err != nil {
		u.err, u.over = fmt.Errorf("channel: send on %q: %w", string(c.name), err), true
		return &u.Pending
	}
	end := c.end.SendAsync(&u.value, u.finish)
	c.flow.begun(ctx, &u.Pending, end)
	return &u.Pending
}

// finish takes the outcome.
func (u *underway[T]) finish(err error) {
	u.value.forget()
	if err != nil {
		err = fmt.Errorf("channel: send on %q: %w", string(u.name), err)
	}
	u.flow.leave(&u.Pending, err)
}

// A flow is what is on its way from one end of a channel.
type flow struct {
	mu          sync.Mutex
	length      int
	first, last *Pending
	room        chan struct{} // closed when there is room again; nil while nobody waits for that
	watch       *watch
}

// A watch waits for the end of a context. The values that were sent with one
// context, one after the other, share it.
type watch struct {
	done  <-chan struct{}
	users int
	stop  func() bool
}

// enter adds p when there is room.
func (f *flow) enter(ctx context.Context, p *Pending) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.mu.Lock()
		if f.length < Window {
			break
		}
		if f.room == nil {
			f.room = make(chan struct{})
		}
		room := f.room
		f.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
	defer f.mu.Unlock()
	f.length++
	if p.prev = f.last; p.prev == nil {
		f.first = p
	} else {
		p.prev.next = p
	}
	f.last = p
	if done := ctx.Done(); done != nil {
		if f.watch == nil || f.watch.done != done {
			w := &watch{done: done}
			w.stop = context.AfterFunc(ctx, func() { f.withdraw(w, ctx.Err()) })
			f.watch = w
		}
		p.watch = f.watch
		p.watch.users++
	}
	return nil
}

// begun notes how p is withdrawn, and does so if its context has ended already.
func (f *flow) begun(ctx context.Context, p *Pending, end Withdrawer) {
	f.mu.Lock()
	if !p.over {
		p.end = end
	}
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		end.Withdraw(err)
	}
}

// leave removes p, whose outcome is known.
func (f *flow) leave(p *Pending, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.over, p.err = true, err
	if p.done != nil {
		close(p.done)
	}
	if p.prev == nil {
		f.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		f.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next, p.end = nil, nil, nil
	f.length--
	if w := p.watch; w != nil {
		if w.users--; w.users == 0 {
			w.stop()
			if f.watch == w {
				f.watch = nil
			}
		}
	}
	if f.room != nil && f.length <= Window/2 {
		close(f.room)
		f.room = nil
	}
}

// withdraw takes back what w watches, the last first.
func (f *flow) withdraw(w *watch, err error) {
	f.mu.Lock()
	var ends []Withdrawer
	for p := f.last; p != nil; p = p.prev {
		if p.watch == w && p.end != nil {
			ends = append(ends, p.end)
		}
	}
	f.mu.Unlock()
	for _, end := range ends {
		end.Withdraw(err)
	}
}
