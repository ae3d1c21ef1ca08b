package network

import (
	"context"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// drainTime is how long a home waits for its members to hear that the channel
// is closed: a send that one of them began before belongs to what is drained.
const drainTime = 2 * time.Second

// Close implements [channel.Endpoint].
func (e *endpoint) Close(ctx context.Context) error {
	m := e.member
	m.mu.Lock()
	if e.left || m.gone {
		m.mu.Unlock()
		return channel.ErrClosed
	}
	m.shutDown()
	acknowledged := m.acknowledgement()
	m.unlock()
	select {
	case <-acknowledged:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.space.ctx.Done():
		return channel.ErrClosed
	}
}

// shutDown notes that the channel is closed, and tells everyone. A channel that
// is closed stays so for as long as somebody has it open.
func (m *member) shutDown() {
	if !m.closed {
		m.closed = true
		m.drainBy = time.AfterFunc(drainTime, func() {
			m.mu.Lock()
			defer m.unlock()
			m.overdue = true
		})
		for s, t := range m.ties {
			if t.said {
				m.tellShut(s, t)
			}
		}
	}
	if m.isHome() {
		m.acknowledge()
	}
}

// acknowledge lets Close return: the home knows.
func (m *member) acknowledge() {
	acknowledged := m.acknowledgement()
	select {
	case <-acknowledged:
	default:
		close(acknowledged)
	}
}

// acknowledgement returns what is closed when the home knows.
func (m *member) acknowledgement() chan struct{} {
	if m.acknowledged == nil {
		m.acknowledged = make(chan struct{})
	}
	return m.acknowledged
}

// tellShut tells the other side of s, once, that the channel is closed.
func (m *member) tellShut(s *session, t *tie) {
	if m.closed && !t.toldShut {
		t.toldShut = true
		s.send(frame{kind: shut, number: m.number})
	}
}

// onShut: the other side knows that the channel is closed. It begins no more
// sends; those that it began came before.
func (m *member) onShut(s *session, t *tie) {
	t.shut = true
	m.shutDown()
	m.tellShut(s, t)
	if s == m.home {
		m.acknowledge()
	}
}

// drain ends the receives of a closed channel when, as its home, this peer
// knows of no send that they could have.
func (m *member) drain() {
	if !m.isHome() || m.gone || m.sends.length+m.remoteSends.length+len(m.pairs) > 0 || m.inFlight() {
		return
	}
	for _, t := range m.ties {
		if t.joins && !t.shut && !m.overdue {
			return
		}
	}
	told := map[*session]bool{}
	for r := m.remoteReceives.first; r != nil; r = m.remoteReceives.first {
		if !told[r.owner] {
			told[r.owner] = true
			r.owner.send(frame{kind: drained, number: m.number})
		}
		m.forget(r)
	}
	m.onDrained()
}

// onDrained: no send is left that the receives of this peer could have.
func (m *member) onDrained() {
	if m.sends.length > 0 {
		return // they come to the home, which then thinks otherwise
	}
	for r := m.receives.first; r != nil; r = m.receives.first {
		r.registered = false
		m.finish(r, channel.ErrClosed)
	}
}
