package sandbox

import (
	"encoding/binary"
	"time"

	"github.com/dstackless/dstackless/tasklet/abi"
)

// Layout of poll_oneoff's structures.
const (
	subscriptionSize = 48
	eventSize        = 32
	eventClock       = 0
	eventRead        = 1
	eventWrite       = 2
)

// MaxSubscriptions is how many things a guest may wait for at a time: 256. The Go
// runtime waits for its next timer and for the few descriptors that can be waited
// for. A guest that waits for more is told that the call is not valid.
const MaxSubscriptions = 256

// A subscription is one of the things that a guest waits for.
type subscription struct {
	user  uint64
	kind  byte
	due   int64  // eventClock: by the guest's monotonic clock
	fd    uint32 // otherwise
	errno uint16 // what is wrong with it
}

// poll is poll_oneoff: it waits until one of n subscriptions has an event, or
// something else wants the guest's attention. It may return without any event,
// upon which the Go scheduler looks what is due and comes back.
func (i *Instance) poll(in, out, n, nevents uint32) uint32 {
	if n == 0 || n > MaxSubscriptions {
		return errnoInval
	}
	from, ok := i.mem.slice(in, n*subscriptionSize)
	to, ok2 := i.mem.slice(out, n*eventSize)
	if !ok || !ok2 {
		return errnoFault
	}
	if i.resumed {
		// The guest was stopped while it waited. How long it wanted to wait
		// is out of date.
		return i.mem.putU32(nevents, 0)
	}
	i.look()
	since, now := time.Now(), i.clock.mono()
	began, waited := i.began, true
	if i.began = 0; began == 0 {
		began, waited = now, false // it did not rest
	}
	subs := make([]subscription, n)
	for k := range subs {
		subs[k] = i.readSubscription(from[k*subscriptionSize:], began, now)
	}
	var timer *time.Timer
	for ; ; waited = true {
		i.mu.Lock()
		now := i.clock.mono()
		count, next := i.ripe(subs, now)
		if waited && count > 0 {
			i.stir()
			count, _ = i.ripe(subs, now)
		}
		if count > 0 {
			events := i.events(to, subs, now)
			i.mu.Unlock()
			return i.mem.putU32(nevents, events)
		}
		i.idled = true
		patience := i.patience - time.Since(since)
		if patience <= 0 && !i.attention.Load() {
			i.rest(began, next)
			i.mu.Unlock()
			return errnoSuccess // it leaves
		}
		i.mu.Unlock()
		wait := min(time.Duration(next-now), max(0, patience))
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		i.passTurn()
		select {
		case <-i.wake:
		case <-timer.C:
		}
		i.takeTurn()
		if i.attention.Load() && i.attend() {
			return errnoSuccess // it leaves
		}
		if time.Since(since) >= i.patience {
			i.trim()
			i.lap = time.Now()
		}
	}
}

// readSubscription reads what a guest waits for since it began to, by its clock,
// which shows now.
func (i *Instance) readSubscription(b []byte, began, now int64) subscription {
	s := subscription{user: binary.LittleEndian.Uint64(b), kind: b[8]}
	switch s.kind {
	case eventClock:
		id := binary.LittleEndian.Uint32(b[16:])
		timeout := int64(min(binary.LittleEndian.Uint64(b[24:]), 1<<62))
		absolute := b[40]&1 != 0
		switch {
		case id > 1:
			s.errno = errnoInval
		case absolute && id == 0:
			s.due = now + timeout - i.cfg.Wall().UnixNano()
		case absolute:
			s.due = timeout
		default:
			s.due = began + timeout
		}
	case eventRead, eventWrite:
		s.fd = binary.LittleEndian.Uint32(b[16:])
		if !isOpen(s.fd) {
			s.errno = errnoBadf
		}
	default:
		s.errno = errnoInval
	}
	return s
}

// has reports whether s has an event. The lock is held.
func (i *Instance) has(s *subscription, now int64) bool {
	switch {
	case s.errno != 0:
		return true
	case s.kind == eventClock:
		return s.due <= now
	case s.kind == eventRead && s.fd == abi.Descriptor:
		return len(i.inbox) > 0
	}
	return true
}

// ripe returns how many of subs have an event, and when by the guest's clock
// one of them will by itself, or never. The lock is held.
func (i *Instance) ripe(subs []subscription, now int64) (count int, next int64) {
	next = never
	for k := range subs {
		s := &subs[k]
		if i.has(s, now) {
			count++
		} else if s.kind == eventClock {
			next = min(next, s.due)
		}
	}
	return count, next
}

// events writes the events of subs and returns their number. The lock is held.
func (i *Instance) events(to []byte, subs []subscription, now int64) uint32 {
	n := uint32(0)
	for k := range subs {
		s := &subs[k]
		if !i.has(s, now) {
			continue
		}
		e := to[n*eventSize:][:eventSize]
		clear(e)
		binary.LittleEndian.PutUint64(e, s.user)
		binary.LittleEndian.PutUint16(e[8:], s.errno)
		e[10] = s.kind
		if s.fd == abi.Descriptor {
			binary.LittleEndian.PutUint64(e[16:], uint64(len(i.inbox)))
		}
		n++
	}
	return n
}
