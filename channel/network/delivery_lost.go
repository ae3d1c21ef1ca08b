package network

import (
	"cmp"
	"slices"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// patience is how long a peer that was lost while it took a value is sought,
// before the send is in doubt.
const patience = 10 * time.Second

// onLost: a session has ended, and what its peer heard or said last is not
// known.
func (m *member) onLost(s *session) {
	m.mu.Lock()
	defer m.unlock()
	m.lost(s)
}

func (m *member) lost(s *session) {
	t := m.ties[s]
	if t == nil {
		return
	}
	delete(m.ties, s)
	m.dissolve(s, t)
	m.strand(s, t, false)
	for _, op := range m.exposed {
		if op.offered && op.offer.via == s {
			m.lose(op)
		}
		if op.kept != nil && op.kept.from == s {
			op.kept = nil // it is offered again
		}
	}
	if m.home == s {
		m.home = nil
		m.unregisterAll()
		m.rejoin()
	}
}

// lose begins to ask the peer that was taking a value whether it did.
func (m *member) lose(op *operation) {
	op.offer.via, op.offer.again = nil, true
	to := op.offer.to
	if m.resumes[to] {
		return
	}
	m.resumes[to] = true
	m.space.spawn(func() { m.resume(to) })
}

// lostTo returns the sends that a peer was taking when its session was lost, in
// their order.
func (m *member) lostTo(peer p2p.ID) (ops []*operation) {
	for _, op := range m.exposed {
		if op.offered && op.offer.again && op.offer.via == nil && op.offer.to == peer {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b *operation) int { return cmp.Compare(a.id, b.id) })
	return ops
}

// doubt ends an offered send whose outcome will not be heard.
func (m *member) doubt(op *operation) {
	if via := op.offer.via; via != nil {
		via.abandon(len(op.encoded))
	}
	m.settleGone(op)
	m.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})
}

// settleGone lets the home have the receive back that it set aside for op. If
// the receive has its value already, its owner refuses the next.
func (m *member) settleGone(op *operation) {
	if by := op.offer.matcher; by != nil {
		by.send(frame{kind: settle, number: m.number, send: op.id, receive: op.offer.receive, outcome: gone})
	}
}

// resume offers again what was lost on its way to a peer. If the peer has been
// started anew, it cannot know.
func (m *member) resume(to p2p.ID) {
	start := time.Now()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		sn, err := m.space.dial(m.space.ctx, to)
		over := m.space.ctx.Err() != nil || time.Since(start) > patience
		m.mu.Lock()
		for _, op := range m.lostTo(to) {
			switch {
			case err == nil && op.offer.run == sn.run:
				op.offer.via = sn
				m.transmit(op)
			case err == nil || over:
				m.doubt(op)
			}
		}
		if len(m.lostTo(to)) == 0 { // this session may have ended, too
			delete(m.resumes, to)
			m.unlock()
			return
		}
		m.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-m.space.ctx.Done():
		}
	}
}
