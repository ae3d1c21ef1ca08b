// Package quota shares what a peer has for all other peers: streams, memory,
// connections, records.
//
// Anybody makes as many peer IDs as he likes, so a limit for each ID is none for
// their maker. A [Pool] therefore has two rules. Known peers and strangers each have
// a part that the others cannot take. And what strangers have is compared by network
// address: when the pool is full, the address that has most loses a share, not
// the peer that comes next.
//
// Addresses are compared in two steps, first by network (/24 of IPv4, /48 of
// IPv6), then by address (/32 of IPv4, /56 of IPv6, which is what one customer
// gets). Then come the peers of that address, and then their shares. At each step
// the one that has most is picked, the oldest of several.
package quota

import (
	"net/netip"
	"sync"
)

// Limits bound a [Pool], in units that are up to the user: streams, bytes.
type Limits struct {
	// All is the most that all peers have together. Known peers may take what
	// strangers have, but for a quarter of All.
	All int
	// Strangers is the most that all strangers have together.
	Strangers int
	// Each is the most that one peer has. Zero: no limit for one peer.
	Each int
}

// A Holder is a peer that takes from a pool.
type Holder struct {
	Peer  string     // the ID
	Addr  netip.Addr // where it is; all peers with the zero Addr count as one address
	Known bool       // it is no stranger
}

// A Pool is shared by many peers. Make it with [New]. Its methods, and those of
// its shares, may be called from several goroutines at once.
type Pool struct {
	limits Limits

	mu        sync.Mutex
	strangers group
	known     group
	peers     map[string]*account
	entered   uint64 // groups, so far
}

// An account is what one peer has, at whatever addresses.
type account struct{ units, shares int }

// A Share is what a peer has of a pool for one purpose, such as one stream. It
// must be returned.
type Share struct {
	pool   *Pool
	holder Holder
	revoke func()

	leaf    group
	account *account
	ended   bool
}

// New makes a pool.
func New(l Limits) *Pool {
	return &Pool{limits: l, peers: map[string]*account{}}
}

// Open returns a share that has nothing yet. Revoke is called, once at most, when
// the share loses all that it has to another. It is called by [Share.Grow] of
// that other share and must not block. The caller ends what the share was for.
func (p *Pool) Open(h Holder, revoke func()) *Share {
	h.Addr = h.Addr.Unmap().WithZone("")
	s := &Share{pool: p, holder: h, revoke: revoke}
	s.leaf.share = s
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &p.strangers
	if h.Known {
		g = &p.known
	}
	for _, key := range [...]any{prefix(h.Addr, 24, 48), prefix(h.Addr, 32, 56), h.Peer} {
		m := g.members[key]
		if m == nil {
			m = &group{since: p.next()}
			g.enter(key, m)
		}
		g = m
	}
	s.leaf.since = p.next()
	g.enter(s, &s.leaf)
	if s.account = p.peers[h.Peer]; s.account == nil {
		s.account = &account{}
		p.peers[h.Peer] = s.account
	}
	s.account.shares++
	return s
}

func (p *Pool) next() uint64 {
	p.entered++
	return p.entered
}

// Take is [Pool.Open] of a share that has n units. It returns nil if there are
// none for this peer.
func (p *Pool) Take(h Holder, n int, revoke func()) *Share {
	s := p.Open(h, revoke)
	if !s.Grow(n) {
		s.Return()
		return nil
	}
	return s
}

// Grow adds n units to the share. It reports false, and adds none, if the peer
// would have more than one may have, if the share itself is the one that loses
// when the pool is full, or if the share has been revoked or returned.
func (s *Share) Grow(n int) bool {
	ok, lost := s.pool.grow(s, n)
	for _, l := range lost {
		l.revoke()
	}
	return ok
}

func (p *Pool) grow(s *Share, n int) (ok bool, lost []*Share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.ended || p.limits.Each > 0 && s.account.units+n > p.limits.Each {
		return false, nil
	}
	s.add(n)
	for p.over(s.holder.Known) {
		greediest := p.greediest()
		if greediest == s {
			s.add(-n)
			return false, lost
		}
		greediest.end()
		lost = append(lost, greediest)
	}
	return true, lost
}

// over reports whether there is more in the pool than there may be, after a
// known peer or a stranger has taken some.
func (p *Pool) over(known bool) bool {
	return p.strangers.weight+p.known.weight > p.limits.All || !known && p.strangers.weight > p.limits.Strangers
}

// greediest returns the share that loses: one of a stranger if they have more than
// their quarter.
func (p *Pool) greediest() *Share {
	if p.strangers.weight > p.limits.All/4 || p.known.weight == 0 {
		return p.strangers.greediest()
	}
	return p.known.greediest()
}

// add adds n units, or takes some away. The pool is locked.
func (s *Share) add(n int) {
	s.leaf.add(n)
	s.account.units += n
}

// end takes the share out of the pool. The pool is locked.
func (s *Share) end() {
	if s.ended {
		return
	}
	s.ended = true
	s.add(-s.leaf.weight)
	s.leaf.leave()
	if s.account.shares--; s.account.shares == 0 {
		delete(s.pool.peers, s.holder.Peer)
	}
}

// Shrink takes n units from the share, or as many as it has.
func (s *Share) Shrink(n int) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.add(-min(n, s.leaf.weight))
}

// Return gives back all that the share has and ends it: it is not revoked any
// more. It may be called more than once, also after the share was revoked.
func (s *Share) Return() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.end()
}

// Of returns how much a peer has.
func (p *Pool) Of(peer string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.peers[peer]; a != nil {
		return a.units
	}
	return 0
}

// Used returns how much known peers and strangers have.
func (p *Pool) Used() (known, strangers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known.weight, p.strangers.weight
}

// Limits returns the limits of the pool.
func (p *Pool) Limits() Limits { return p.limits }
