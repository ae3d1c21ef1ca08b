package network

import (
	"context"

	"github.com/dstackless/dstackless/channel"
)

// A census is what a home knows of who waits on its channel.
type census struct {
	sends, receives int
	waits           bool // the operation that was asked for is one of them
	lost            bool // the home is
}

// maxQuestions is how many answers of the home may be waited for on a channel.
const maxQuestions = 1024

// Balance implements [channel.Endpoint].
func (e *endpoint) Balance(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if e.Closed() {
		return 0, channel.ErrClosed
	}
	c, err := e.member.inquire(ctx, 0)
	return c.sends - c.receives, err
}

// count returns what this peer knows of who waits.
func (m *member) count() census {
	return census{
		sends:    m.sends.length + m.remoteSends.length,
		receives: m.receives.length + m.remoteReceives.length,
	}
}

// inquire asks the home who waits, and whether the operation op does. Without a
// home it counts those who wait here.
func (m *member) inquire(ctx context.Context, op uint64) (census, error) {
	for {
		m.mu.Lock()
		if m.home == nil || m.ties[m.home] == nil {
			defer m.mu.Unlock()
			return m.count(), nil
		}
		if len(m.questions) >= maxQuestions {
			m.mu.Unlock()
			return census{}, channel.ErrLimit
		}
		m.lastID++
		id, answer := m.lastID, make(chan census, 1)
		m.questions[id] = answer
		m.home.send(frame{kind: probe, number: m.number, send: id, receive: op})
		m.mu.Unlock()
		select {
		case c := <-answer:
			if !c.lost {
				return c, nil
			}
		case <-ctx.Done():
			m.mu.Lock()
			delete(m.questions, id)
			m.mu.Unlock()
			return census{}, ctx.Err()
		}
	}
}

// onProbe: a member asks who waits.
func (m *member) onProbe(s *session, t *tie, f *frame) {
	if !m.isHome() {
		m.greet(s, t) // the answer comes from another
		return
	}
	c := m.count()
	op := t.ops[f.receive]
	s.send(frame{
		kind: probed, number: m.number, send: f.send,
		sends: uint64(c.sends), receives: uint64(c.receives), waits: op != nil && op.in != nil,
	})
}

// onProbed: the home has answered.
func (m *member) onProbed(s *session, f *frame) {
	if answer := m.questions[f.send]; answer != nil && s == m.home {
		delete(m.questions, f.send)
		answer <- census{sends: int(f.sends), receives: int(f.receives), waits: f.waits}
	}
}

// forgetQuestions lets those who wait for an answer of the home ask again.
func (m *member) forgetQuestions() {
	for id, answer := range m.questions {
		delete(m.questions, id)
		answer <- census{lost: true}
	}
}
