package network

import (
	"sync"

	"github.com/dstackless/dstackless/p2p"
)

// A choice is what the alternatives of one select have in common: that only one
// of them is done.
//
//	open ──────────────► decided
//	  ▲ │                   ▲
//	  │ ▼                   │
//	tentative ──────────────┘
//
// An alternative that meets its counterpart on this peer decides the choice of
// either at once. A send that goes to another peer makes its choice tentative
// until that peer has accepted or refused the value: meanwhile nothing else can
// be chosen. A value that is offered to a receive of a tentative choice is kept
// back or refused; see yields.
type choice struct {
	id   uint64 // of this peer's choices
	self p2p.ID
	wake chan struct{} // capacity 1: there is something for the select to look at

	mu     sync.Mutex // after the mutex of a channel; of two, the one with the lower id first
	state  choiceState
	op     *operation // that is tentative, or decided on
	ending error      // why the select ends if nothing comes of the tentative one
}

type choiceState uint8

const (
	open choiceState = iota
	tentative
	decided
)

// commit decides the choices that a and b are alternatives of. It reports false,
// and changes nothing, if one of them is not open. Operations without a choice
// are always willing; b may be nil.
func commit(a, b *operation) bool {
	var c, d *choice
	if c = a.choice; b != nil {
		d = b.choice
	}
	if c == nil {
		a, b, c, d = b, a, d, c
	}
	switch {
	case c == nil:
		return true
	case d == nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state != open {
			return false
		}
		c.state, c.op = decided, a
		return true
	case c == d:
		return false
	case c.id > d.id:
		a, b, c, d = b, a, d, c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.state != open || d.state != open {
		return false
	}
	c.state, c.op = decided, a
	d.state, d.op = decided, b
	return true
}

// reserve makes the choice of op tentative, if it has one. It reports false if
// that is not open.
func (op *operation) reserve() bool {
	c := op.choice
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return false
	}
	c.state, c.op = tentative, op
	return true
}

// release opens the choice again after nothing came of the tentative op.
func (c *choice) release() {
	c.mu.Lock()
	c.state, c.op = open, nil
	if c.ending != nil {
		c.state = decided
	}
	c.mu.Unlock()
	c.signal()
}

// concluded is called when op has come to an end by itself.
func (c *choice) concluded(op *operation) {
	c.mu.Lock()
	if c.state == open || c.state == tentative && c.op == op {
		c.state, c.op = decided, op
	}
	c.mu.Unlock()
	c.signal()
}

// end makes the choice that nothing is done, because of err. It reports false if
// another choice has been made; a tentative one may still end so.
func (c *choice) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case open:
		c.state, c.ending = decided, err
		return true
	case tentative:
		if c.ending == nil {
			c.ending = err
		}
	}
	return false
}

// ended returns why the select is to end, or nil.
func (c *choice) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// look returns the state of the choice, and the alternative that it is about.
func (c *choice) look() (choiceState, *operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.op
}

func (c *choice) isOpen() bool {
	state, _ := c.look()
	return state == open
}

func (c *choice) isTentative() bool {
	state, _ := c.look()
	return state == tentative
}

func (c *choice) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// mustRefuse reports whether a value that peer offers to a receive of the tentative
// choice c is refused, not deferred. The offerer waits for that; if its own
// choice, the one with that number, is tentative meanwhile, selects could wait
// for each other in a circle. So each defers only what comes from greater
// ones.
func (c *choice) mustRefuse(peer p2p.ID, number uint64) bool {
	if number == 0 { // no select
		return false
	}
	return number < c.id || number == c.id && peer < c.self
}
