package network

import (
	"io"
	"time"
)

const (
	// keepaliveInterval is how often the sessions are looked at: every second.
	keepaliveInterval = time.Second
	// pingAfterIdleTicks is after how many ticks in which nothing was said a session
	// says that it is alive.
	pingAfterIdleTicks = 2
	// maxSilentTicks is after how many ticks in which nothing was heard the peer at
	// the other end is taken for lost: 5 seconds.
	maxSilentTicks = 5
)

// A keepalive is how a session notices that the other end is dead, and shows that
// its own is not. A cut link reports no error, so silence must count as loss.
type keepalive struct {
	sent, received         bool // since the last tick
	idleTicks, silentTicks int  // ticks
}

// runKeepalive ticks all sessions.
func (s *Space) runKeepalive() {
	ticker := time.NewTicker(keepaliveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		for _, sn := range s.liveSessions() {
			sn.tick()
		}
	}
}

func (s *session) tick() {
	s.mu.Lock()
	p := &s.keepalive
	p.idleTicks++
	p.silentTicks++
	if p.sent {
		p.idleTicks = 0
	}
	if p.received {
		p.silentTicks = 0
	}
	p.sent, p.received = false, false
	mute, unheard := p.idleTicks, p.silentTicks
	s.mu.Unlock()
	if mute >= pingAfterIdleTicks {
		s.send(frame{kind: ping})
	}
	if unheard == maxSilentTicks {
		s.space.log.Debug("peer is silent, closing its connection", "peer", s.peer)
		s.space.spawn(func() {
			s.stream.Reset()
			s.stream.Conn().Close() // or the next attempt would use it, and wait
		})
	}
}

// An activityReader is a session's reader that notes that something was heard.
type activityReader struct{ s *session }

func (e activityReader) Read(p []byte) (int, error) {
	n, err := e.s.stream.Read(p)
	if n > 0 {
		e.s.mu.Lock()
		e.s.keepalive.received = true
		e.s.mu.Unlock()
	}
	return n, err
}

var _ io.Reader = activityReader{}
