package network

import (
	"fmt"
	"slices"
	"time"
)

// send queues f for the writer. It never blocks; on a dead session it does
// nothing, because the channels attached to it learn of its end.
func (s *session) send(f frame) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		if f.kind == accept && f.peer == "" {
			s.space.rememberAccepted(s.peer, s.peer, f.send) // its owner will ask
		}
		return
	}
	defer s.mu.Unlock()
	s.enqueueLocked(f, 0)
}

// sendRelayed is send for a value of another peer. Until the value is written, it
// counts as memory of the peer at the other end. sendRelayed reports false if that
// peer has too much already.
func (s *session) sendRelayed(f frame) bool {
	if !s.memory.add(len(f.value)) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.relayedBytes+len(f.value) > maxRelayedBytes {
		s.memory.remove(len(f.value))
		return false
	}
	s.relayedBytes += len(f.value)
	s.enqueueLocked(f, len(f.value))
	return true
}

// enqueueLocked puts f into outgoing. Of its bytes so many belong to a relayed value.
func (s *session) enqueueLocked(f frame, passed int) {
	switch f.kind {
	case send, deliver:
		f.acked = s.acceptsReceived
	case accept:
		if f.peer == "" {
			s.unacked = append(s.unacked, f.send)
		}
	}
	last := s.packet(len(f.value))
	before := len(last.b)
	last.b = appendHead(last.b, &f)
	s.replyBytes += len(last.b) - before
	if len(f.value) > maxInlineBytes {
		s.outgoing = append(s.outgoing, chunk{value: f.value})
	} else {
		last.b = append(last.b, f.value...)
	}
	s.outgoing[len(s.outgoing)-1].relayedBytes += passed
	if s.replyBytes > maxReplyBytes || len(s.unacked) > maxReplyBytes/8 {
		s.dead = true
		s.end(errUnread)
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

var errUnread = fmt.Errorf("the peer leaves more than %d bytes of answers unread", maxReplyBytes)

// abandon notes that nobody waits any more for a value that the peer may not have
// read yet. One that reads too little of what it has asked for is given up.
func (s *session) abandon(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandonedSince += size
	if s.abandoned+s.abandonedSince > maxAbandonedBytes {
		s.end(errAbandoned)
	}
}

var errAbandoned = fmt.Errorf("the peer leaves more than %d bytes of values unread, which it has asked for, and nobody sends any more", maxAbandonedBytes)

// hasAccepted reports whether a send of the peer was accepted on this session, and
// the peer has not acknowledged that.
func (s *session) hasAccepted(send uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.unacked, send)
}

// write writes what send queued until the session ends.
func (s *session) write() {
	defer close(s.writerDone)
	var spare []chunk
	var patient time.Time // for so long it is not necessary to set the deadline anew
	for {
		select {
		case <-s.wake:
		case <-s.readerDone:
			return
		}
		s.mu.Lock()
		out := s.outgoing
		s.outgoing, s.replyBytes = spare, 0
		s.abandoned, s.abandonedSince = s.abandonedSince, 0
		s.keepalive.sent = true
		closing := s.closing
		s.mu.Unlock()
		if now := time.Now(); now.After(patient) {
			s.stream.SetWriteDeadline(now.Add(writeTimeout))
			patient = now.Add(writeTimeout / 2)
		}
		for _, w := range out {
			if err := w.writeTo(s.stream); err != nil {
				s.stream.Reset()
				return
			}
			s.relayedWritten(w.relayedBytes)
		}
		if closing {
			s.stream.CloseWrite()
			return
		}
		clear(out)
		spare = out[:0]
	}
}

// relayedWritten notes that values of other peers are written.
func (s *session) relayedWritten(size int) {
	if size == 0 {
		return
	}
	s.mu.Lock()
	s.relayedBytes -= size
	s.mu.Unlock()
	s.memory.remove(size)
}
