package network

import (
	"io"
	"time"
)

const (
	// beat is how often the sessions are looked at: every second.
	beat = time.Second
	// pingAfter is after how many beats in which nothing was said a session
	// says that it is alive.
	pingAfter = 2
	// silence is after how many beats in which nothing was heard the peer at
	// the other end is taken for lost: 5 seconds.
	silence = 5
)

// A pulse is how a session notices that the other end is dead, and shows that
// its own is not. Links that are cut say nothing: only silence tells.
type pulse struct {
	said, heard   bool // since the last beat
	mute, unheard int  // beats
}

// pulses has the sessions' hearts beat.
func (s *Space) pulses() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		for _, sn := range s.live() {
			sn.beat()
		}
	}
}

func (s *session) beat() {
	s.mu.Lock()
	p := &s.pulse
	p.mute++
	p.unheard++
	if p.said {
		p.mute = 0
	}
	if p.heard {
		p.unheard = 0
	}
	p.said, p.heard = false, false
	mute, unheard := p.mute, p.unheard
	s.mu.Unlock()
	if mute >= pingAfter {
		s.send(frame{kind: ping})
	}
	if unheard == silence {
		s.space.log.Debug("peer has fallen silent", "peer", s.peer)
		s.space.spawn(func() {
			s.stream.Reset()
			s.stream.Conn().Close() // or the next attempt would use it, and wait
		})
	}
}

// An ear is a session's reader that notes that something was heard.
type ear struct{ s *session }

func (e ear) Read(p []byte) (int, error) {
	n, err := e.s.stream.Read(p)
	if n > 0 {
		e.s.mu.Lock()
		e.s.pulse.heard = true
		e.s.mu.Unlock()
	}
	return n, err
}

var _ io.Reader = ear{}
