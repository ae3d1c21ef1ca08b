package network

import (
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/p2p/quota"
)

// What the tests see of the protocol.

const (
	Hello         = hello
	Unknown       = unknown
	Goodbye       = leave
	Send          = send
	Queued        = queued
	Receive       = receive
	Withdraw      = withdraw
	Match         = match
	MatchResult   = matchResult
	Deliver       = deliver
	Accept        = accept
	Refuse        = refuse
	ChannelClosed = channelClosed
	Drained       = drained
	Probe         = probe
	ProbeReply    = probeReply
	RelayLost     = relayLost
	Successor     = successor
	Ping          = ping

	Accepted = accepted
	Refused  = refused
	Gone     = gone

	MaxFrameBytes = maxFrameBytes
	MaxSessions   = maxSessions

	ProbeTimeout = probeTimeout

	MaxRelayedBytes = maxRelayedBytes
	MaxUnacked      = maxUnacked
	SmallFrameBytes = smallFrameBytes
)

// A Frame is a frame whose fields the tests may set.
type Frame struct {
	Kind        kind
	Number      uint64
	Key, Proof  [32]byte
	ClaimTerm   uint64
	Home        p2p.ID
	Send        uint64
	Receive     uint64
	Outcome     outcome
	Peer        p2p.ID
	Addrs       []string
	Acked       uint64
	Attempt     uint64
	Term        uint64
	Incarnation uint64
	Choice      uint64
	Resumed     bool
	Relay       bool
	Ordered     bool
	Waits       bool
	Sends       uint64
	Receives    uint64
	Value       []byte
}

func (f Frame) Bytes() []byte {
	in := frame{
		kind: f.Kind, number: f.Number, key: f.Key, proof: f.Proof, claim: claim{f.ClaimTerm, f.Home},
		send: f.Send, receive: f.Receive, outcome: f.Outcome, peer: f.Peer, addrs: f.Addrs,
		acked: f.Acked, attempt: f.Attempt, term: f.Term, incarnation: f.Incarnation, choice: f.Choice, resumed: f.Resumed, relay: f.Relay, ordered: f.Ordered,
		waits: f.Waits, sends: f.Sends, receives: f.Receives, value: f.Value,
	}
	return append(in.append(nil), in.value...)
}

func ParseFrame(b []byte) (Frame, error) {
	f, err := parseFrame(b)
	return Frame{
		Kind: f.kind, Number: f.number, Key: f.key, Proof: f.proof, ClaimTerm: f.claim.term, Home: f.claim.home,
		Send: f.send, Receive: f.receive, Outcome: f.outcome, Peer: f.peer, Addrs: f.addrs,
		Acked: f.acked, Attempt: f.attempt, Term: f.term, Incarnation: f.incarnation, Choice: f.choice, Resumed: f.resumed, Relay: f.relay, Ordered: f.ordered,
		Waits: f.waits, Sends: f.sends, Receives: f.receives, Value: f.value,
	}, err
}

func KeyOf(name channel.Name) [32]byte { return keyOf(name) }

func Prove(name channel.Name, from, to p2p.ID) [32]byte { return nameProof(secretOf(name), from, to) }

// A Claim is a claim whose fields the tests may set.
type Claim struct {
	Term uint64
	Home p2p.ID
}

func (c Claim) Better(d Claim, key [32]byte) bool {
	return claim{c.Term, c.Home}.better(claim{d.Term, d.Home}, key)
}

// A Queue is a queue of operations of numbered owners.
type Queue struct {
	q      queue
	owners map[int]*session
}

type Operation = operation

func (q *Queue) New(owner int, id uint64) *Operation {
	if q.owners == nil {
		q.owners = map[int]*session{0: nil}
	}
	if _, ok := q.owners[owner]; !ok {
		q.owners[owner] = &session{}
	}
	return &operation{id: id, owner: q.owners[owner]}
}

func (q *Queue) Push(op *Operation)          { q.q.push(op) }
func (q *Queue) Restore(op *Operation)       { q.q.restore(op) }
func (q *Queue) Insert(op, after *Operation) { q.q.insert(op, after) }
func (*Queue) Remove(op *Operation)          { op.remove() }
func (q *Queue) Length() int                 { return q.q.length }

// All walks the queue both ways.
func (q *Queue) All() (forth, back []*Operation) {
	for op := q.q.first; op != nil; op = op.next {
		forth = append(forth, op)
	}
	for op := q.q.last; op != nil; op = op.prev {
		back = append(back, op)
	}
	return forth, back
}

// Sessions counts the open sessions to a peer.
func (s *Space) Sessions(peer p2p.ID) int {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	return len(s.sessions[peer])
}

// Remembered counts the accepts that a peer may still ask for.
func (s *Space) Remembered(peer p2p.ID) (n int) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	for id := range s.unacked.outcomes {
		if id.peer == peer {
			n++
		}
	}
	return n
}

// RememberedOfAll counts what is remembered of all peers' sends.
func (s *Space) RememberedOfAll() int {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	return len(s.unacked.outcomes)
}

// MemoryOf returns how many bytes this peer keeps for the sessions of another.
func (s *Space) MemoryOf(peer p2p.ID) int { return s.memory.Of(string(peer)) }

// SetMemoryLimits sets how much the peers that connect from now on may make this one keep.
func (s *Space) SetMemoryLimits(all, strangers, each int) {
	s.memory = quota.New(quota.Limits{All: all, Strangers: strangers, Each: each})
}

// SetRemembered sets how many sends are remembered.
func (s *Space) SetRemembered(all, strangers, each int) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	s.unacked.pool = quota.New(quota.Limits{All: all, Strangers: strangers, Each: each})
}

// Homed counts what the home of a channel knows of other peers' operations.
func (s *Space) Homed(name channel.Name) (sends, receives, pairs int) {
	cs := s.byKey(keyOf(name))
	if cs == nil {
		return 0, 0, 0
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.remoteSends.length, cs.remoteReceives.length, len(cs.pairs)
}

// Remind has every channel tell its home again what waits.
func (s *Space) Remind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cs := range s.channels {
		cs.mu.Lock()
		cs.remindHome()
		cs.mu.Unlock()
	}
}

// Term returns the term of a channel's home.
func (s *Space) Term(name channel.Name) uint64 {
	cs := s.byKey(keyOf(name))
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.claim.term
}
