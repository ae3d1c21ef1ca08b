package network

import "time"

// farewellTime is how long a space that is closed waits to hear and to be heard.
const farewellTime = time.Second

// Close leaves all channels and waits for the space's goroutines. Operations
// that wait return [channel.ErrClosed]. Close is idempotent.
func (s *Space) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	members := s.all()
	if first && len(members) == 0 {
		close(s.emptied)
	}
	s.mu.Unlock()
	if !first {
		s.wg.Wait()
		return nil
	}
	s.node.Unhandle(Protocol)
	for _, m := range members {
		m.close()
	}
	s.farewell()
	s.stop()
	s.cut()
	s.wg.Wait()
	for _, m := range members {
		m.giveUp()
	}
	return nil
}

// cut ends all sessions, and lets none begin.
func (s *Space) cut() {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.ended = true
	for _, list := range s.sessions {
		for _, sn := range list {
			sn.stream.Reset()
		}
	}
}

// farewell waits for the outcomes that are on their way here, and until the
// peers have heard those that are on their way to them: no longer than
// farewellTime each.
func (s *Space) farewell() {
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	select {
	case <-s.emptied:
	case <-timer.C:
	}
	timer.Reset(farewellTime)
	for _, sn := range s.live() {
		sn.hangUp()
	}
	for _, sn := range s.live() {
		select {
		case <-sn.finished:
		case <-timer.C:
			return
		}
	}
}
