package network

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// A member is this peer's part in one channel: its own operations, and the
// matchmaking for others while the peer is the channel's home.
//
// Sessions call handle, onHello, onUnknown and onLost, and the space info, close
// and giveUp: these take m.mu, as do the goroutines that wait for something. All
// other methods want it held, and none of them blocks.
type member struct {
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
	lastID   uint64
	attempts uint64 // of the home to match a send
	sends    queue  // that wait, and are offered to nobody
	receives queue  // that wait
	lane     lane
	eager    bool // the last value was received by the home itself
	exposed  map[uint64]*operation
	pending  int // operations that are not done

	// As one of the channel's members.
	claim        claim           // the best that was heard
	claimed      func()          // called when there is one
	teller       p2p.ID          // who told of the claim
	reached      bool            // the home was
	turned       chan struct{}   // closed when there is a better one; nil: nobody waits for it
	heir         p2p.ID          // who is home next, as the home says
	crowned      time.Time       // when this peer became home
	deposed      int             // how often it was not for long
	closed       bool            // for everyone
	acknowledged chan struct{}   // closed when the home knows that; made by acknowledgement
	drainBy      *time.Timer     // sets overdue
	overdue      bool            // members that have not heard so are not waited for
	lostHomes    map[claim]bool  // of the last generation there is; their homes have gone
	home         *session        // to the home, where operations are registered
	joining      bool            // a goroutine seeks the home
	resumes      map[p2p.ID]bool // a goroutine seeks a peer that has an offer
	search       schedule        // of other homes, while this peer is home
	questions    map[uint64]chan<- census
	told         time.Time // when the home was last reminded of what waits
	ties         map[*session]*tie

	// As home.
	remoteSends    queue
	remoteReceives queue
	pairs          map[remoteID]pair // the receive of each match under way, by send
	withdrawKey    func()            // ends the announcement of the key
	held           int               // bytes of values in remoteSends
	heirless       bool              // the members have changed
	matches        int               // since the home looked for a better place
	drifting       *session          // to the member that is one
	stay           time.Duration     // how long this peer keeps the home once it came back
	stayUntil      time.Time
	takes          uint64      // values of other peers that were received here
	waitPlain      *time.Timer // ends the time of held values
	waitLane       *time.Timer // and of those of lanes
}

// A tie is what a member and a session have to do with each other.
type tie struct {
	said     bool          // hello
	claim    claim         // what was said then
	joins    bool          // the peer takes this one for the home
	shut     bool          // the peer knows that the channel is closed
	toldShut bool          // the peer was told so
	heard    chan struct{} // closed when the peer has answered a hello
	ops      map[uint64]*operation
	lane     []*operation      // sends of the peer's lane in the queue
	heir     p2p.ID            // whom the peer was told
	blocked  uint64            // the one of them that is on its way elsewhere; 0: none
	matches  int               // for receives of the peer, as member.matches
	passing  map[remoteID]bool // sends of others that were passed on to the peer; whether again
}

// hear notes an answer.
func (t *tie) hear() {
	select {
	case <-t.heard:
	default:
		close(t.heard)
	}
}

// A remoteID names an operation, of another peer if it has an owner.
type remoteID struct {
	owner *session
	id    uint64
}

func newMember(s *Space, name channel.Name, number uint64) *member {
	key := keyOf(name)
	// There may be many channels that are idle, and that no other peer has
	// open: what only others need is made when one comes.
	return &member{
		space: s, name: name, key: key, secret: secretOf(name), number: number,
		record:  dht.KeyOf(key[:]),
		ends:    map[*endpoint]struct{}{},
		lastID:  rand.Uint64N(1 << 62), // so that no id of an earlier life comes again
		exposed: map[uint64]*operation{},
		told:    time.Now(),
	}
}

func (m *member) self() p2p.ID { return m.space.node.ID() }

// isHome reports whether this peer makes the matches.
func (m *member) isHome() bool { return m.claim.home == m.self() }

func (m *member) info() Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := Info{Name: m.name, Sends: m.sends.length, Receives: m.receives.length}
	if m.claim.home != "" {
		i.Home = m.claim.home.String()
	}
	for _, op := range m.exposed {
		if op.offered {
			i.Sends++
		}
	}
	for _, t := range m.ties {
		if t.joins {
			i.Members++
		}
	}
	return i
}

// tie returns what m and s have to do with each other, or nil if s has ended.
func (m *member) tie(s *session) *tie {
	t := m.ties[s]
	if t == nil && !m.gone && s.tie(m) {
		t = &tie{heard: make(chan struct{}), ops: map[uint64]*operation{}, passing: map[remoteID]bool{}}
		if m.ties == nil {
			m.ties = map[*session]*tie{}
			m.pairs = map[remoteID]pair{}
			m.resumes = map[p2p.ID]bool{}
			m.questions = map[uint64]chan<- census{}
		}
		m.ties[s] = t
	}
	return t
}

// handle takes a frame from s. An error ends the session: its peer does not
// keep to the protocol.
func (m *member) handle(s *session, f *frame) error {
	m.mu.Lock()
	defer m.unlock()
	if s.void.Load() {
		return nil
	}
	t := m.tie(s)
	if t == nil {
		return nil
	}
	if f.again {
		m.supersede(s)
	}
	switch f.kind {
	case leave:
		m.onLeave(s, t)
	case send:
		return m.onSend(s, t, f)
	case receive:
		return m.onReceive(s, t, f)
	case withdraw:
		m.onWithdraw(t, f.send)
	case settle:
		m.onSettle(s, t, f)
	case queued:
		m.onQueued(s, f)
	case match:
		m.onMatch(s, f)
	case deliver:
		m.onDeliver(s, t, f)
	case accept, refuse:
		m.onAnswer(s, f)
	case astray:
		m.onAstray(s, f)
	case shut:
		m.onShut(s, t)
	case probe:
		m.onProbe(s, t, f)
	case probed:
		m.onProbed(s, f)
	case heir:
		m.onHeir(s, f)
	case drained:
		if s == m.home && m.closed {
			m.onDrained()
		}
	}
	return nil
}

// supersede ends the other sessions to the peer of s, which has lost one of
// them and offers on s what it had offered there: that must not count twice.
func (m *member) supersede(s *session) {
	for _, other := range m.space.sessionsTo(s.peer) {
		if other != s {
			other.void.Store(true)
			other.stream.Reset()
			m.lost(other)
		}
	}
}

// unlock unlocks m.mu, and lets go of the member if nobody needs it.
func (m *member) unlock() {
	if m.drifting != nil {
		m.drift()
	}
	if m.heirless {
		m.nameHeir()
	}
	if m.closed {
		m.drain()
	}
	over := len(m.ends) == 0 && !m.gone && !m.inFlight()
	m.mu.Unlock()
	if over {
		m.space.remove(m)
	}
}

// inFlight reports whether an outcome is awaited, also of what was passed on.
func (m *member) inFlight() bool {
	for _, t := range m.ties {
		if len(t.passing) > 0 {
			return true
		}
	}
	for _, op := range m.exposed {
		if op.offered {
			return true
		}
	}
	return false
}

// grace is how long the caller of an offered send whose context has ended
// waits for the true outcome.
const grace = 5 * time.Second
