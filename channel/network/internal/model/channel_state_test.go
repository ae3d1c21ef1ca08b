package model

import "iter"

// A member is a peer's part in a channel of a world, with what it does there.
// Its methods are those of network.member, under the same names.
type member struct {
	*world
	p  *plan
	me peerID
	ch channel
}

func (p *plan) at(w *world, n peerID, c channel) *member { return &member{w, p, n, c} }

func (m *member) state() *memberState { return &m.node(m.me).members[m.ch] }

func (m *member) isHome() bool { return m.state().claim.home == m.me }

func (m *member) op(id opID) *operation { return &m.ops[id-1] }

// mine yields the operations of the peer on the channel, in their order.
func (m *member) mine() iter.Seq[opID] {
	return func(yield func(opID) bool) {
		for i := range m.p.ops {
			if x := &m.p.ops[i]; x.peer == m.me && x.ch == m.ch && !m.ops[i].lost && !yield(opID(i+1)) {
				return
			}
		}
	}
}

// exposed returns the operation of this peer with that number if it is not over.
func (m *member) exposed(id opID) *operation {
	if id == 0 {
		return nil
	}
	x, op := m.p.want(id), m.op(id)
	if x.peer != m.me || x.ch != m.ch || op.lost || op.phase != waiting && op.phase != offered {
		return nil
	}
	return op
}

func (m *member) choiceOf(id opID) *choice {
	if c := m.p.want(id).choice; c != 0 {
		return &m.choices[c-1]
	}
	return nil
}

// tie returns what m and s have to do with each other, or nil if s has ended.
func (m *member) tie(s linkID) *tie {
	e := m.end(s, m.me)
	if !e.open || m.state().gone {
		return nil
	}
	t := &e.ties[m.ch]
	t.on = true
	return t
}

// tied returns the tie that is there already, or nil.
func (m *member) tied(s linkID) *tie {
	if s == 0 || s == lostLink {
		return nil
	}
	if e := m.end(s, m.me); e.open && e.ties[m.ch].on {
		return &e.ties[m.ch]
	}
	return nil
}

// ties yields the sessions that the member is tied to.
func (m *member) ties() iter.Seq2[linkID, *tie] {
	return func(yield func(linkID, *tie) bool) {
		for s := linkID(1); s <= maxLinks; s++ {
			if e := s.ends(); e[0] != m.me && e[1] != m.me {
				continue
			}
			if t := m.tied(s); t != nil && !yield(s, t) {
				return
			}
		}
	}
}

func (m *member) untie(s linkID) {
	t := &m.end(s, m.me).ties[m.ch]
	*t = tie{numbered: t.numbered}
}

func (m *member) handle(s linkID, f frame) {
	t := m.tie(s)
	if t == nil {
		return
	}
	if f.again && m.p.defect != noFence {
		m.supersede(s)
	}
	switch f.kind {
	case leave:
		m.onLeave(s)
	case send:
		m.onSend(s, t, f)
	case receive:
		m.onReceive(s, f)
	case withdraw:
		m.onWithdraw(s, t, f.send)
	case settle:
		m.onSettle(s, t, f)
	case queued:
		m.onQueued(s, f)
	case match:
		m.onMatch(s, f)
	case deliver:
		m.onDeliver(s, t, f)
	case accept, refuse:
		m.onAnswer(s, f)
	case astray:
		m.onAstray(s, f)
	}
}

// supersede ends the other sessions to the peer of s, which has lost one of them
// and offers on s what it had offered there: that must not count twice.
func (m *member) supersede(s linkID) {
	for _, o := range linksOf(m.me, s.other(m.me)) {
		if o != s && m.end(o, m.me).open {
			m.breakLink(o, false)
			m.p.learn(m.world, o, m.me)
		}
	}
}

// inFlight reports whether an outcome is awaited.
func (m *member) inFlight() bool {
	if m.state().passing.n > 0 && m.p.defect != leaveMeansNo {
		return true // and must be passed back
	}
	for id := range m.mine() {
		if m.op(id).phase == offered {
			return true
		}
	}
	return false
}

// leave is when the last user of the channel closes its end.
func (m *member) leave() {
	m.state().left = true
	var all []opID
	for id := range m.mine() {
		all = append(all, id)
	}
	for i := len(all) - 1; i >= 0; i-- {
		switch id := all[i]; m.op(id).phase {
		case idle:
			m.op(id).phase, m.op(id).result = over, cancelled
		case waiting:
			m.finish(id, cancelled)
		}
	}
}

// retire says goodbye to all sessions. As home it hands the matchmaking to the
// member closest to the key.
func (m *member) retire() {
	st := m.state()
	st.gone = true
	if m.isHome() {
		var next claim
		for s, t := range m.ties() {
			c := claim{st.claim.generation + 1, s.other(m.me)}
			if t.joins && (next.home == 0 || c.better(next)) {
				next = c
			}
		}
		if next.home != 0 {
			st.claim = next
			for s, t := range m.ties() {
				m.greet(s, t)
			}
		}
	}
	for s := range m.ties() {
		m.put(s, frame{kind: leave})
		m.untie(s)
	}
	*st = memberState{opened: true, left: true, gone: true}
}
