package network

import (
	"errors"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

const (
	// remember is how long a peer that lost its session may come back and ask.
	remember = time.Minute

	// maxUnsettled is how many sends are remembered that one peer has made, or
	// has brought as a home: 65,536. All peers together may have
	// maxUnsettledAll, 1,048,576, which take some 200 MiB.
	maxUnsettled          = 1 << 16
	maxUnsettledAll       = 1 << 20
	maxUnsettledStrangers = 1 << 18
)

var errUnsettled = errors.New("the peer brings more values of others, or again, than are remembered")

// An unsettled is what is remembered of the sends of other peers whose outcome
// they may have to ask for. The lock that guards it is the space's sessionsMu.
type unsettled struct {
	sends map[sendID]taken
	pool  *quota.Pool // counts sends
	by    map[p2p.ID]*bringer
}

// A sendID names a send of another peer.
type sendID struct {
	peer p2p.ID
	send uint64
}

// A taken is what became of a send.
type taken struct {
	accepted bool // the value was received here, and the peer may not have heard so
	void     bool // it was offered again since: what comes of it by way of a home does not count
	until    time.Time
	by       p2p.ID // the peer that brought it
}

// A bringer is a peer for whose values something is remembered.
type bringer struct {
	share *quota.Share
	sends int
}

func newUnsettled() unsettled {
	return unsettled{
		sends: map[sendID]taken{},
		pool:  quota.New(quota.Limits{All: maxUnsettledAll, Strangers: maxUnsettledStrangers, Each: maxUnsettled}),
		by:    map[p2p.ID]*bringer{},
	}
}

// grow counts one more send for a peer. It reports false, and counts none, if the
// peer may not have more. When all have too many, the peer that loses is
// forgotten.
func (u *unsettled) grow(by quota.Holder, id p2p.ID) bool {
	b := u.by[id]
	if b == nil {
		b = &bringer{share: u.pool.Open(by, func() { u.forgetBringer(id) })}
		u.by[id] = b
	}
	if !b.share.Grow(1) {
		if b.sends == 0 {
			b.share.Return()
			delete(u.by, id)
		}
		return false
	}
	b.sends++
	return true
}

// shrink counts one send less.
func (u *unsettled) shrink(id p2p.ID) {
	b := u.by[id]
	if b == nil {
		return
	}
	b.share.Shrink(1)
	if b.sends--; b.sends == 0 {
		b.share.Return()
		delete(u.by, id)
	}
}

// forgetBringer drops everything that a peer has brought. Its share is lost.
func (u *unsettled) forgetBringer(id p2p.ID) {
	delete(u.by, id)
	for send, t := range u.sends {
		if t.by == id {
			delete(u.sends, send)
		}
	}
}

// mayKeep reports whether what a peer brings can be remembered.
func (s *Space) mayKeep(by p2p.ID) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if !s.unsettled.grow(s.node.Holder(by), by) {
		return false
	}
	s.unsettled.shrink(by)
	return true
}

// keep remembers for a while what became of a send of peer, which another has
// brought. The caller holds s.sessionsMu.
func (s *Space) keep(peer, by p2p.ID, send uint64, is taken) {
	id := sendID{peer, send}
	t, ok := s.unsettled.sends[id]
	if !ok {
		if !s.unsettled.grow(s.node.Holder(by), by) {
			return
		}
		t.by = by
	}
	t.accepted = t.accepted || is.accepted
	t.void = t.void || is.void
	t.until = time.Now().Add(remember)
	s.unsettled.sends[id] = t
}

// keepTaken remembers an accept that goes back by way of another peer.
func (s *Space) keepTaken(peer, by p2p.ID, send uint64) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.keep(peer, by, send, taken{accepted: true})
}

// keepVoid remembers that a send of a peer is offered again, and that what comes
// of it by way of a home was offered before.
func (s *Space) keepVoid(peer, by p2p.ID, send uint64) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.keep(peer, by, send, taken{void: true})
}

func (s *Space) isVoid(peer p2p.ID, send uint64) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	return s.unsettled.sends[sendID{peer, send}].void
}

// wasTaken reports whether a send that is offered again was accepted before.
func (s *Space) wasTaken(peer p2p.ID, send uint64) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if s.unsettled.sends[sendID{peer, send}].accepted {
		return true
	}
	for _, sn := range s.sessions[peer] {
		if sn.hasAccepted(send) {
			return true
		}
	}
	return false
}

// forgetTaken drops the accepts for which nobody came back.
func (s *Space) forgetTaken(now time.Time) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	for id, t := range s.unsettled.sends {
		if t.until.Before(now) {
			delete(s.unsettled.sends, id)
			s.unsettled.shrink(t.by)
		}
	}
}
