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
// Sessions call handle, onHello, onUnknown and onSessionLost, and the space info, close
// and endOffersInDoubt: these take cs.mu, as do the goroutines that wait for something. All
// other methods want it held, and none of them blocks.
type channelState struct {
	space  *Space
	name   channel.Name
	key    hash
	secret hash
	record dht.Key // what the table is asked for
	number uint64  // of the channel in frames that this peer sends

	mu    sync.Mutex
	ends  map[*endpoint]struct{}
	gone  bool
	begun bool // it was looked for, or is

	// As owner of operations.
	lastID           uint64
	lastAttempt      uint64 // of the home to match a send
	sends            queue  // that wait, and are offered to nobody
	receives         queue  // that wait
	pipeline         pipeline
	homeReceivedLast bool // the last value was received by the home itself
	remoteVisible    map[uint64]*operation
	pending          int // operations that are not done

	// As one of the channel's members.
	claim         claim           // the best that was heard
	onFirstClaim  func()          // called when there is one
	claimSource   p2p.ID          // who told of the claim
	homeReached   bool            // the home was
	claimChanged  chan struct{}   // closed when there is a better one; nil: nobody waits for it
	successor     p2p.ID          // who is home next, as the home says
	becameHomeAt  time.Time       // when this peer became home
	homeLosses    int             // how often it was not for long
	closed        bool            // for everyone
	closeAcked    chan struct{}   // closed when the home knows that; made by closeAckedSignal
	drainTimer    *time.Timer     // sets overdue
	drainOverdue  bool            // members that have not heard so are not waited for
	refusedClaims map[claim]bool  // of the last term there is; their homes have gone
	home          *session        // to the home, where operations are registered
	joining       bool            // a goroutine seeks the home
	resuming      map[p2p.ID]bool // a goroutine seeks a peer that has an offer
	nextSearch    searchSchedule  // of other homes, while this peer is home
	pendingProbes map[uint64]chan<- waiterCount
	remindedAt    time.Time // when the home was last reminded of what waits
	attachments   map[*session]*attachment

	// As home.
	remoteSends       queue
	remoteReceives    queue
	pairs             map[remoteID]pair // the receive of each match under way, by send
	stopAnnounce      func()            // ends the announcement of the key
	parkedBytes       int               // bytes of values in remoteSends
	successorStale    bool              // the members have changed
	matches           int               // since the home looked for a better place
	migrateTo         *session          // to the member that is one
	tenure            time.Duration     // how long this peer keeps the home once it came back
	tenureEnd         time.Time
	valuesReceived    uint64      // values of other peers that were received here
	parkTimer         *time.Timer // ends the time of held values
	pipelineParkTimer *time.Timer // and of those of pipelines
}

// An attachment is what a channel and a session have to do with each other.
type attachment struct {
	helloSent     bool          // hello
	helloClaim    claim         // what was said then
	joined        bool          // the peer takes this one for the home
	closeReceived bool          // the peer knows that the channel is closed
	closeSent     bool          // the peer was told so
	helloAnswered chan struct{} // closed when the peer has answered a hello
	ops           map[uint64]*operation
	pipeline      []*operation      // sends of the peer's pipeline in the queue
	successorSent p2p.ID            // whom the peer was told
	blocked       uint64            // the one of them that is on its way elsewhere; 0: none
	matches       int               // for receives of the peer, as channelState.matches
	relayed       map[remoteID]bool // sends of others that were passed on to the peer; whether again
}

// hear notes an answer.
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
		lastID:        rand.Uint64N(1 << 62), // so that no id of an earlier life comes again
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

// inFlight reports whether an outcome is awaited, also of what was passed on.
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
