package network

import (
	"context"

	"github.com/dstackless/dstackless/p2p"
)

// The home tells its members who of them is to take its place if it is lost:
// the one closest to the channel's key. So they need not find out when it has
// happened.

// nameHeir tells the members that do not know it.
func (m *member) nameHeir() {
	m.heirless = false
	if !m.isHome() {
		return
	}
	var next claim
	for s, t := range m.ties {
		if c := (claim{1, s.peer}); t.joins && (next.home == "" || c.better(next, m.key)) {
			next = c
		}
	}
	var addrs []string
	for s, t := range m.ties {
		if !t.joins || t.heir == next.home {
			continue
		}
		t.heir = next.home
		if addrs == nil {
			addrs = m.space.node.AddrsOf(next.home)
		}
		s.send(frame{kind: heir, number: m.number, peer: next.home, addrs: addrs})
	}
}

// onHeir: the home tells who is next.
func (m *member) onHeir(s *session, f *frame) {
	if s.peer != m.claim.home {
		return
	}
	m.heir = f.peer
	if f.peer != "" && f.peer != m.self() {
		m.space.node.AddAddrs(f.peer, f.addrs)
	}
}

// inherit finds the home's successor after it was lost: the heir, if he can be
// reached and has taken its place or does so now, else this peer.
func (m *member) inherit(lost claim) {
	m.mu.Lock()
	who := m.heir
	m.heir = ""
	if m.turned == nil {
		m.turned = make(chan struct{})
	}
	turned := m.turned
	m.mu.Unlock()
	if who != "" && who != m.self() && who != lost.home {
		ctx, cancel := context.WithTimeout(m.space.ctx, rejoinTime)
		defer cancel()
		m.consult(ctx, who, turned)
	}
	m.mu.Lock()
	defer m.unlock()
	if m.claim == lost && m.home == nil && !m.gone {
		m.succeed()
	}
}

// consult says hello to a peer and waits until a better claim is known.
func (m *member) consult(ctx context.Context, who p2p.ID, turned <-chan struct{}) {
	sn, err := m.space.dial(ctx, who)
	if err != nil {
		return
	}
	m.mu.Lock()
	t := m.tie(sn)
	if t != nil {
		m.greet(sn, t)
	}
	m.unlock()
	if t == nil {
		return
	}
	select {
	case <-turned:
	case <-sn.finished:
	case <-ctx.Done():
	}
}
