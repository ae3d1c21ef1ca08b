package network

import (
	"time"

	"github.com/dstackless/dstackless/channel"
)

// shutdownTimeout is how long a space that is closed waits to hear and to be heard.
const shutdownTimeout = time.Second

// Close leaves all channels and waits for the space's goroutines. Operations
// that wait return [channel.ErrClosed]. Close is idempotent.
func (s *Space) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	members := s.channelsLocked()
	if first && len(members) == 0 {
		close(s.emptied)
	}
	s.mu.Unlock()
	if !first {
		s.wg.Wait()
		return nil
	}
	s.node.Unhandle(Protocol)
	for _, cs := range members {
		cs.endWaitingAll()
	}
	s.drainSessions()
	s.stop()
	s.resetSessions()
	s.wg.Wait()
	for _, cs := range members {
		cs.endOffersInDoubt()
	}
	return nil
}

// resetSessions ends all sessions, and lets none begin.
func (s *Space) resetSessions() {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.sessionsClosed = true
	for _, list := range s.sessions {
		for _, sn := range list {
			sn.stream.Reset()
		}
	}
}

// drainSessions waits for the outcomes that are on their way here, and until the
// peers have heard those that are on their way to them: no longer than
// shutdownTimeout each.
func (s *Space) drainSessions() {
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	select {
	case <-s.emptied:
	case <-timer.C:
	}
	timer.Reset(shutdownTimeout)
	for _, sn := range s.liveSessions() {
		sn.closeAfterFlush()
	}
	for _, sn := range s.liveSessions() {
		select {
		case <-sn.readerDone:
		case <-timer.C:
			return
		}
	}
}

// leaveAll says goodbye to all sessions. As home it hands the matchmaking to the
// member closest to the key.
func (cs *channelState) leaveAll() {
	cs.gone = true
	if cs.isHome() && cs.claim.term < maxTerm {
		var next claim
		for s, att := range cs.attachments {
			c := claim{cs.claim.term + 1, s.peer}
			if att.joined && (next.home == "" || c.better(next, cs.key)) {
				next = c
			}
		}
		if next.home != "" {
			cs.claim = next
			for s, att := range cs.attachments {
				cs.sendHello(s, att)
			}
		}
	}
	cs.stopAnnouncing()
	for _, timer := range []*time.Timer{cs.parkTimer, cs.pipelineParkTimer, cs.drainTimer} {
		if timer != nil {
			timer.Stop()
		}
	}
	for s, att := range cs.attachments {
		s.send(frame{kind: leave, number: cs.number})
		s.detach(cs)
		s.memory.remove(len(att.ops)*operationBytes + len(att.relayed)*relayedEntryBytes)
	}
	for id := range cs.pairs {
		cs.unpair(id)
	}
	clear(cs.attachments)
	cs.home = nil
	cs.failProbes()
}

// endWaitingAll ends all operations that wait, because the space is shut down. The
// channel goes when the outcomes of the others are known.
func (cs *channelState) endWaitingAll() {
	cs.mu.Lock()
	defer cs.unlock()
	for e := range cs.ends {
		e.left = true
	}
	clear(cs.ends)
	cs.endWaiting(func(*operation) bool { return true })
}

// endOffersInDoubt ends the operations whose outcome will not be heard any more.
func (cs *channelState) endOffersInDoubt() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, op := range cs.remoteVisible {
		if op.offered {
			cs.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})
		}
	}
}

// endWaiting ends with ErrClosed the waiting operations that match, the last
// first.
func (cs *channelState) endWaiting(which func(*operation) bool) {
	var ending []*operation
	for _, q := range []*queue{&cs.sends, &cs.receives} {
		for op := q.last; op != nil; op = op.prev {
			if which(op) {
				ending = append(ending, op)
			}
		}
	}
	for _, op := range ending {
		if op.in != nil {
			cs.finish(op, channel.ErrClosed)
		}
	}
}
