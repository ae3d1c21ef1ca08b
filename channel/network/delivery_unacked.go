package network

import (
	"errors"
	"time"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

const (
	// unackedTimeout is how long a peer that lost its session may come back and ask.
	unackedTimeout = time.Minute

	// maxUnacked is how many sends are remembered that one peer has made, or
	// has brought as a home: 65,536. All peers together may have
	// maxUnackedAll, 1,048,576, which take some 200 MiB.
	maxUnacked          = 1 << 16
	maxUnackedAll       = 1 << 20
	maxUnackedStrangers = 1 << 18
)

var errUnacked = errors.New("the peer brings more values of others, or again, than are remembered")

// An unackedSends is what is remembered of the sends of other peers whose outcome
// they may have to ask for. The lock that guards it is the space's sessionsMu.
type unackedSends struct {
	outcomes map[sendID]sendOutcome
	pool     *quota.Pool // counts sends
	shares   map[p2p.ID]*unackedShare
}

// A sendID names a send of another peer.
type sendID struct {
	peer p2p.ID
	send uint64
}

// A sendOutcome is what became of a send.
type sendOutcome struct {
	accepted bool // the value was received here, and the peer may not have heard so
	fenced   bool // it was offered again directly: a relayed copy does not count
	until    time.Time
	by       p2p.ID // the peer that brought it
}

// An unackedShare is one peer's part of what is remembered.
type unackedShare struct {
	share *quota.Share
	sends int
}

func newUnackedSends() unackedSends {
	return unackedSends{
		outcomes: map[sendID]sendOutcome{},
		pool:     quota.New(quota.Limits{All: maxUnackedAll, Strangers: maxUnackedStrangers, Each: maxUnacked}),
		shares:   map[p2p.ID]*unackedShare{},
	}
}

// grow counts one more send for a peer. It reports false, and counts none, if the
// peer may not have more. When all have too many, the peer that loses is
// forgotten.
func (u *unackedSends) grow(by quota.Holder, id p2p.ID) bool {
	b := u.shares[id]
	if b == nil {
		b = &unackedShare{share: u.pool.Open(by, func() { u.forgetPeer(id) })}
		u.shares[id] = b
	}
	if !b.share.Grow(1) {
		if b.sends == 0 {
			b.share.Return()
			delete(u.shares, id)
		}
		return false
	}
	b.sends++
	return true
}

// shrink counts one send less.
func (u *unackedSends) shrink(id p2p.ID) {
	b := u.shares[id]
	if b == nil {
		return
	}
	b.share.Shrink(1)
	if b.sends--; b.sends == 0 {
		b.share.Return()
		delete(u.shares, id)
	}
}

// forgetPeer drops everything that is remembered for a peer. Its share is lost.
func (u *unackedSends) forgetPeer(id p2p.ID) {
	delete(u.shares, id)
	for send, t := range u.outcomes {
		if t.by == id {
			delete(u.outcomes, send)
		}
	}
}

// mayRemember reports whether what a peer brings can be remembered.
func (s *Space) mayRemember(by p2p.ID) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if !s.unacked.grow(s.node.Holder(by), by) {
		return false
	}
	s.unacked.shrink(by)
	return true
}

// rememberLocked remembers for a while what became of a send of peer, which another has
// brought. The caller holds s.sessionsMu.
func (s *Space) rememberLocked(peer, by p2p.ID, send uint64, is sendOutcome) {
	id := sendID{peer, send}
	t, ok := s.unacked.outcomes[id]
	if !ok {
		if !s.unacked.grow(s.node.Holder(by), by) {
			return
		}
		t.by = by
	}
	t.accepted = t.accepted || is.accepted
	t.fenced = t.fenced || is.fenced
	t.until = time.Now().Add(unackedTimeout)
	s.unacked.outcomes[id] = t
}

// rememberAccepted remembers an accept that goes back by way of another peer.
func (s *Space) rememberAccepted(peer, by p2p.ID, send uint64) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.rememberLocked(peer, by, send, sendOutcome{accepted: true})
}

// rememberFenced remembers that a send of a peer is offered again, and that what comes
// of it by way of a home was offered before.
func (s *Space) rememberFenced(peer, by p2p.ID, send uint64) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.rememberLocked(peer, by, send, sendOutcome{fenced: true})
}

func (s *Space) isFenced(peer p2p.ID, send uint64) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	return s.unacked.outcomes[sendID{peer, send}].fenced
}

// wasAccepted reports whether a resumed send was accepted before.
func (s *Space) wasAccepted(peer p2p.ID, send uint64) bool {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if s.unacked.outcomes[sendID{peer, send}].accepted {
		return true
	}
	for _, sn := range s.sessions[peer] {
		if sn.hasAccepted(send) {
			return true
		}
	}
	return false
}

// forgetExpired drops the outcomes for which no peer came back in time.
func (s *Space) forgetExpired(now time.Time) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	for id, t := range s.unacked.outcomes {
		if t.until.Before(now) {
			delete(s.unacked.outcomes, id)
			s.unacked.shrink(t.by)
		}
	}
}
