package network

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A channelState is this peer's part in one channel: its own operations, and the
// matchmaking for others while the peer is the channel's home.
//
// The mutex guards all fields that change. Sessions call handle, onHello, onUnknown
// and onSessionLost; the space calls info, endWaitingAll and endOffersInDoubt. These
// lock the mutex, as do the goroutines that wait for something. The callers of all
// other methods hold it, and none of these methods blocks.
type channelState struct {
	space  *Space
	name   channel.Name
	key    hash
	secret hash
	record dht.Key // key of the channel in the hash table
	number uint64  // of the channel in frames that this peer sends

	mu    sync.Mutex
	ends  map[*endpoint]struct{}
	gone  bool
	begun bool // it was looked for, or is

	// As owner of operations.
	lastID           uint64
	lastAttempt      uint64 // number of the last attempt to have a send matched by the home
	sends            queue  // of this peer, waiting, offered to nobody
	receives         queue  // of this peer, waiting
	pipeline         pipeline
	homeReceivedLast bool // the home itself received the last value
	remoteVisible    map[uint64]*operation
	pending          int // operations that are not done

	// As one of the channel's members.
	claim         claim           // the best claim known
	onFirstClaim  func()          // called once, when a claim is known
	claimSource   p2p.ID          // the peer that reported the claim
	homeReached   bool            // this peer had a session to the claimed home
	claimChanged  chan struct{}   // closed when a better claim is known; nil: nobody waits
	successor     p2p.ID          // the next home, as the home says
	becameHomeAt  time.Time       // when this peer became home
	homeLosses    int             // how often this peer lost the home soon after it got it
	closed        bool            // the channel is closed for all peers
	closeAcked    chan struct{}   // closed when the home knows of the close; made by closeAckedSignal
	drainTimer    *time.Timer     // sets drainOverdue
	drainOverdue  bool            // do not wait for members that have not answered the close
	refusedClaims map[claim]bool  // claims of the last term whose homes were lost
	home          *session        // session to the home, where operations are registered
	joining       bool            // a goroutine dials the home
	resuming      map[p2p.ID]bool // peers that a goroutine dials to resume an offer
	nextSearch    searchSchedule  // when to look for other homes, while this peer is home
	pendingProbes map[uint64]chan<- waiterCount
	remindedAt    time.Time // when waiting receives were last registered again
	attachments   map[*session]*attachment

	// As home.
	remoteSends       queue
	remoteReceives    queue
	pairs             map[remoteID]pair // the receive of each match under way, by send
	stopAnnounce      func()            // ends the announcement of the key; nil: none
	parkedBytes       int               // bytes of values in remoteSends
	successorStale    bool              // the members have changed since the successor was announced
	matches           int               // matches since migration was last considered
	migrateTo         *session          // the member that should become home; nil: none
	tenure            time.Duration     // how long this peer keeps the home when it comes back
	tenureEnd         time.Time
	valuesReceived    uint64      // values of other peers received here as home
	parkTimer         *time.Timer // ends the time of parked values
	pipelineParkTimer *time.Timer // ends the time of parked values of pipelines
}

// An attachment is what a channel and a session have to do with each other.
type attachment struct {
	helloSent     bool          // a hello was sent
	helloClaim    claim         // the claim in that hello
	joined        bool          // the peer is a member: it takes this one for the home
	closeReceived bool          // the peer knows that the channel is closed
	closeSent     bool          // the peer was told that the channel is closed
	helloAnswered chan struct{} // closed when the peer has answered a hello
	ops           map[uint64]*operation
	pipeline      []*operation      // sends of the peer's pipeline in the queue
	successorSent p2p.ID            // the successor that the peer was told
	blocked       uint64            // the send of pipeline that was matched, and is not settled; 0: none
	matches       int               // for receives of the peer, as channelState.matches
	relayed       map[remoteID]bool // values relayed to the peer, not answered; true: a resumed send
}

// markAnswered notes that the peer answered a hello.
func (att *attachment) markAnswered() {
	select {
	case <-att.helloAnswered:
	default:
		close(att.helloAnswered)
	}
}

// A remoteID names an operation, of another peer if it has an owner.
type remoteID struct {
	owner *session
	id    uint64
}

func newChannelState(s *Space, name channel.Name, number uint64) *channelState {
	key := keyOf(name)
	// There may be many channels that are idle, and that no other peer has
	// open: what only others need is made when one comes.
	return &channelState{
		space: s, name: name, key: key, secret: secretOf(name), number: number,
		record:        dht.KeyOf(key[:]),
		ends:          map[*endpoint]struct{}{},
		lastID:        rand.Uint64N(1 << 62), // so that no ID of an earlier incarnation comes again
		remoteVisible: map[uint64]*operation{},
		remindedAt:    time.Now(),
	}
}

func (cs *channelState) self() p2p.ID { return cs.space.node.ID() }

// isHome reports whether this peer makes the matches.
func (cs *channelState) isHome() bool { return cs.claim.home == cs.self() }

func (cs *channelState) info() channel.Info {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	i := channel.Info{Name: cs.name, Sends: cs.sends.length, Receives: cs.receives.length}
	if cs.claim.home != "" {
		i.Home = cs.claim.home.String()
	}
	for _, op := range cs.remoteVisible {
		if op.offered {
			i.Sends++
		}
	}
	for _, att := range cs.attachments {
		if att.joined {
			i.Members++
		}
	}
	return i
}

// attachment returns what cs and s have to do with each other, or nil if s has ended.
func (cs *channelState) attachment(s *session) *attachment {
	att := cs.attachments[s]
	if att == nil && !cs.gone && s.attach(cs) {
		att = &attachment{helloAnswered: make(chan struct{}), ops: map[uint64]*operation{}, relayed: map[remoteID]bool{}}
		if cs.attachments == nil {
			cs.attachments = map[*session]*attachment{}
			cs.pairs = map[remoteID]pair{}
			cs.resuming = map[p2p.ID]bool{}
			cs.pendingProbes = map[uint64]chan<- waiterCount{}
		}
		cs.attachments[s] = att
	}
	return att
}

// handle takes a frame from s. An error ends the session: its peer does not
// keep to the protocol.
func (cs *channelState) handle(s *session, f *frame) error {
	cs.mu.Lock()
	defer cs.unlock()
	if s.fenced.Load() {
		return nil
	}
	att := cs.attachment(s)
	if att == nil {
		return nil
	}
	if f.resumed {
		cs.fenceOldSessions(s)
	}
	switch f.kind {
	case leave:
		cs.onLeave(s, att)
	case send:
		return cs.onSend(s, att, f)
	case receive:
		return cs.onReceive(s, att, f)
	case withdraw:
		cs.onWithdraw(att, f.send)
	case matchResult:
		cs.onMatchResult(s, att, f)
	case queued:
		cs.onQueued(s, f)
	case match:
		cs.onMatch(s, f)
	case deliver:
		cs.onDeliver(s, att, f)
	case accept, refuse:
		cs.onAnswer(s, f)
	case relayLost:
		cs.onRelayLost(s, f)
	case channelClosed:
		cs.onClosed(s, att)
	case probe:
		cs.onProbe(s, att, f)
	case probeReply:
		cs.onProbed(s, f)
	case successor:
		cs.onSuccessor(s, f)
	case drained:
		if s == cs.home && cs.closed {
			cs.onDrained()
		}
	}
	return nil
}

// fenceOldSessions ends the other sessions to the peer of s, which has lost one of
// them and offers on s what it had offered there: that must not count twice.
func (cs *channelState) fenceOldSessions(s *session) {
	for _, other := range cs.space.sessionsTo(s.peer) {
		if other != s {
			other.fenced.Store(true)
			other.stream.Reset()
			cs.sessionLost(other)
		}
	}
}

// unlock unlocks cs.mu, and removes the channel if nobody needs it.
func (cs *channelState) unlock() {
	if cs.migrateTo != nil {
		cs.migrateHome()
	}
	if cs.successorStale {
		cs.announceSuccessor()
	}
	if cs.closed {
		cs.drain()
	}
	over := len(cs.ends) == 0 && !cs.gone && !cs.inFlight()
	cs.mu.Unlock()
	if over {
		cs.space.remove(cs)
	}
}

// inFlight reports whether an outcome is awaited, of an own send or of a relayed value.
func (cs *channelState) inFlight() bool {
	for _, att := range cs.attachments {
		if len(att.relayed) > 0 {
			return true
		}
	}
	for _, op := range cs.remoteVisible {
		if op.offered {
			return true
		}
	}
	return false
}

// withdrawTimeout is how long the caller of an offered send whose context has ended
// waits for the true outcome.
const withdrawTimeout = 5 * time.Second
