package network

import (
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// patience is how long a peer that was lost while it took a value is sought,
// before the send is in doubt.
const patience = 10 * time.Second

// onQueued: the home did not take the value of a send, and has it in its queue.
func (m *member) onQueued(s *session, id uint64) {
	op := m.exposed[id]
	if op == nil || !op.offered || !op.offer.open || op.offer.via != s {
		return
	}
	if s != m.home {
		m.reoffer(op)
		return
	}
	op.offered, op.registered, op.offer = false, true, offer{}
	if err := op.unwanted(); err != nil {
		m.finish(op, err)
	} else if r := m.receives.first; r != nil {
		m.hand(op.payload, r)
		m.finish(op, nil)
	} else {
		m.sends.restore(op)
	}
}

// onMatch: the home found a receive for a send of this peer.
func (m *member) onMatch(s *session, f *frame) {
	op := m.exposed[f.send]
	waits := op != nil && op.sink == nil && (op.in != nil || op.offered && op.offer.open && op.offer.via == s)
	if !waits || f.peer == m.self() {
		s.send(frame{kind: settle, number: m.number, send: f.send, receive: f.receive, outcome: gone})
		return
	}
	o := offer{to: f.peer, receive: f.receive, matcher: s}
	if f.peer == s.peer {
		o.via, o.run = s, s.run
		m.offer(op, o)
		return
	}
	m.space.node.AddAddrs(f.peer, f.addrs)
	if sn := m.space.to(f.peer); sn != nil {
		o.via, o.run = sn, sn.run
		m.offer(op, o)
		return
	}
	// Set aside while the peer is dialled. If it cannot be reached, the home
	// passes the value on.
	op.remove()
	op.registered, op.offered, op.offer = false, true, o
	m.space.spawn(func() {
		sn, err := m.space.dial(m.space.ctx, o.to)
		m.mu.Lock()
		defer m.unlock()
		if op := m.exposed[f.send]; op == nil || !op.offered || op.offer != o {
			return
		}
		switch {
		case op.unwanted() != nil:
			m.settleGone(op)
			m.finish(op, op.unwanted())
		case err == nil:
			op.offer.via, op.offer.run = sn, sn.run
			m.transmit(op)
		case m.ties[s] != nil:
			m.space.log.Debug("value goes by way of the home", "channel", m.name, "peer", o.to, "home", s.peer, "reason", err)
			op.offer.via = s
			m.transmit(op)
		default:
			m.reoffer(op)
		}
	})
}

// onDeliver: another peer offers a value to a receive of this one, or to that
// of a member which it cannot reach.
func (m *member) onDeliver(s *session, f *frame) {
	answer := frame{kind: refuse, number: m.number, send: f.send, peer: f.peer}
	origin := s.peer
	switch {
	case f.pass:
		if to := m.space.to(f.peer); to != nil && m.ties[to] != nil && m.ties[to].joins {
			m.greetOnce(to)
			on := *f
			on.number, on.peer, on.pass = m.number, s.peer, false
			to.send(on)
			return
		}
		s.send(answer)
		return
	case f.peer != "" && s != m.home:
		s.send(answer) // only the home passes on
		return
	case f.peer != "":
		origin = f.peer
	}
	delete(m.pairs, remoteID{s, f.send}) // if this peer is the home: settled here
	m.greetOnce(s)
	if f.again && m.space.wasTaken(origin, f.send) {
		answer.kind = accept
	} else if r := m.exposed[f.receive]; r != nil && r.sink != nil && r.in != nil {
		r.registered = false // whoever made the match has struck it out
		m.take(r, f.value)
		answer.kind = accept
		if f.peer != "" {
			m.space.keepTaken(origin, f.send)
		}
	}
	s.send(answer)
}

// take gives a value that came from another peer to a receive of this one.
func (m *member) take(r *operation, value []byte) {
	m.hand(channel.Bytes(value), r)
}

// onAnswer: a value was accepted or refused.
func (m *member) onAnswer(s *session, f *frame) {
	to := s.peer
	if f.peer != "" {
		to = f.peer
	}
	op := m.exposed[f.send]
	if op == nil || !op.offered || op.offer.via != s || op.offer.to != to {
		if f.peer != "" && f.peer != s.peer { // on its way back through the home
			if on := m.space.to(f.peer); on != nil && m.ties[on] != nil {
				on.send(frame{kind: f.kind, number: m.number, send: f.send, peer: s.peer})
			}
		}
		return
	}
	what := accepted
	if f.kind == refuse {
		what = refused
	}
	if by := op.offer.matcher; by != nil && by.peer != to {
		by.send(frame{kind: settle, number: m.number, send: op.id, receive: op.offer.receive, outcome: what})
	}
	if what == accepted {
		m.finish(op, nil)
	} else {
		m.reoffer(op)
	}
}

// onLost: a session has ended, and what its peer heard or said last is not
// known.
func (m *member) onLost(s *session) {
	m.mu.Lock()
	defer m.unlock()
	t := m.ties[s]
	if t == nil {
		return
	}
	delete(m.ties, s)
	m.dissolve(s, t)
	for _, op := range m.exposed {
		if op.offered && op.offer.via == s {
			m.lose(op)
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

// doubt ends an offered send whose outcome will not be heard.
func (m *member) doubt(op *operation) {
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
		left := 0
		for _, op := range m.exposed {
			if !op.offered || !op.offer.again || op.offer.via != nil || op.offer.to != to {
				continue
			}
			switch {
			case err == nil && op.offer.run == sn.run:
				op.offer.via = sn
				m.transmit(op)
			case err == nil || over:
				m.doubt(op)
			default:
				left++
			}
		}
		if left == 0 {
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
