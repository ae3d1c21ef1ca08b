package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// maxSessions is how many sessions one peer may have here, the latest of all that
// it opened. It needs one, two if both dial at once, and those whose end has not
// been noticed yet. Each may have begun a frame of [maxFrameBytes].
const maxSessions = 8

var errSessions = fmt.Errorf("the peer has opened more than %d sessions", maxSessions)

var errShutdown = errors.New("the space is shut down")

// accept serves a stream that another peer opened.
func (s *Space) accept(stream p2p.Stream) {
	run, err := exchangePreamble(stream, s.incarnation)
	if err != nil {
		stream.Reset()
		return
	}
	if sn, err := s.startSession(stream, run); err == nil {
		sn.serve()
	}
}

// startSession makes a session of a greeted stream.
func (s *Space) startSession(stream p2p.Stream, run uint64) (*session, error) {
	sn := &session{
		space: s, peer: stream.Conn().RemotePeer(), incarnation: run, stream: stream,
		numbers: map[uint64]*channelState{}, channels: map[*channelState]struct{}{},
		numberOf: map[hash]uint64{},
		wake:     make(chan struct{}, 1), writerDone: make(chan struct{}), readerDone: make(chan struct{}),
	}
	sn.memory.share = sn.openShare()
	if !sn.charge(sessionBytes) {
		sn.memory.end()
		return nil, errMemory
	}
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if s.sessionsClosed {
		stream.Reset()
		sn.memory.end()
		return nil, errShutdown
	}
	list := append(s.sessions[sn.peer], sn)
	for _, old := range list[:max(0, len(list)-maxSessions)] {
		old.end(errSessions) // as one that is lost
	}
	s.sessions[sn.peer] = list
	s.wg.Add(1) // until serve returns
	return sn, nil
}

// endSession ends sn: keeps what its peer may ask for, and tells the channels.
func (s *Space) endSession(sn *session) {
	s.sessionsMu.Lock()
	list := slices.DeleteFunc(s.sessions[sn.peer], func(o *session) bool { return o == sn })
	if s.sessions[sn.peer] = list; len(list) == 0 {
		delete(s.sessions, sn.peer)
	}
	sn.mu.Lock()
	sn.dead = true
	ties := sn.channels
	sn.channels = nil
	for _, id := range sn.unacked {
		s.rememberLocked(sn.peer, sn.peer, id, sendOutcome{accepted: true})
	}
	sn.unacked = nil
	sn.mu.Unlock()
	s.sessionsMu.Unlock()
	for cs := range ties {
		cs.onSessionLost(sn)
	}
	sn.memory.end()
}

// sessionTo returns a session to peer that is open, or nil.
func (s *Space) sessionTo(peer p2p.ID) *session {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	if list := s.sessions[peer]; len(list) > 0 {
		return list[0]
	}
	return nil
}

func (s *Space) sessionsTo(peer p2p.ID) []*session {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	return slices.Clone(s.sessions[peer])
}

func (s *Space) liveSessions() []*session {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	var all []*session
	for _, list := range s.sessions {
		all = append(all, list...)
	}
	return all
}

// dialTimeout bounds one attempt to open a session.
const dialTimeout = 5 * time.Second

// A dialing is an attempt that several callers wait for.
type dialing struct {
	done    chan struct{}
	session *session
	err     error
}

// dial returns an open session to peer, or opens one. When ctx ends, the attempt
// goes on for those who may still wait for it.
func (s *Space) dial(ctx context.Context, peer p2p.ID) (*session, error) {
	s.sessionsMu.Lock()
	if list := s.sessions[peer]; len(list) > 0 {
		sn := list[0]
		s.sessionsMu.Unlock()
		return sn, nil
	}
	d := s.dialing[peer]
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		s.dialing[peer] = d
		s.spawn(func() {
			d.session, d.err = s.connect(peer)
			s.sessionsMu.Lock()
			delete(s.dialing, peer)
			s.sessionsMu.Unlock()
			close(d.done)
		})
	}
	s.sessionsMu.Unlock()
	select {
	case <-d.done:
		return d.session, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Space) connect(peer p2p.ID) (*session, error) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	stream, err := s.node.Open(ctx, peer, Protocol)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { stream.Reset() })
	run, err := exchangePreamble(stream, s.incarnation)
	if !stop() || err != nil {
		stream.Reset()
		return nil, errors.Join(err, ctx.Err())
	}
	sn, err := s.startSession(stream, run)
	if err != nil {
		return nil, err
	}
	go sn.serve() // begin counted it
	return sn, nil
}
