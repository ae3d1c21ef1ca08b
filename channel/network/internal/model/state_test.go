package model

// How much fits into a world. Everything in it is made of bytes, and nothing is
// behind a pointer: a world is copied by assignment.
const (
	maxPeers    = 3
	maxChannels = 3
	maxOps      = 6
	maxChoices  = 3
	maxLinks    = 6 // two between each pair of peers: one that broke, and the next
	maxFlight   = 10
)

// Peers, links, operations and choices are numbered from 1; 0 is none.
type (
	peerID   uint8
	linkID   uint8
	opID     uint8
	choiceID uint8
	channel  uint8 // from 0
)

// maxTerm is a claim beyond which an election is taken to be endless.
const maxTerm = 9

// attempts is after how many an owner's numbers come again.
const attempts = 8

// lostLink stands for the session of an operation whose session has ended.
const lostLink linkID = 0xff

// A world is one state of the model.
type world struct {
	align   uint64
	nodes   [maxPeers]node
	links   [maxLinks]session
	ops     [maxOps]operation
	choices [maxChoices]choice
	cuts    [maxPeers]cut // between each pair of peers
	faults  uint8         // that may still come
	flaw    flaw          // what a step found wrong
	_       [8]uint8      // room, so that the size may be rounded down to words
}

type cut uint8

const (
	connected cut = iota
	apart         // until the partition heals
	walled        // for good: the two never reach each other
)

// A node is a peer.
type node struct {
	up          bool
	incarnation uint8
	restart     bool  // it will be started again
	fenced      uint8 // sends that were offered again: what comes of them by way of a home does not count
	unacked     uint8 // sends that were accepted, and whose owner may not know: Space.unacked
	losses      uint8 // peers that a session was lost to
	channels    [maxChannels]channelFields
}

// A claim says who is home.
type claim struct {
	term uint8
	home peerID
}

// better is the order of claims. The lower number is closer to the key.
func (c claim) better(d claim) bool {
	if c.term != d.term {
		return c.term > d.term
	}
	return c.home < d.home
}

// A memberState is a peer's part in a channel.
type channelFields struct {
	opened      bool
	left        bool // nobody uses it here any more
	gone        bool
	claim       claim
	claimSource peerID // who told the claim
	homeReached bool   // the home was
	home        linkID // to the home, where operations are registered
	registered  uint8  // how many of the pipeline the home knows
	advancing   bool   // within one step only

	// As home.
	sends    entries // remoteSends
	receives entries // remoteReceives
	aside    entries // receives that are noted, but in a match
	pairs    pairs
	relayed  entries // sends that were passed on; to says on which link
}

// An entry is what a home knows of an operation of another peer.
type entry struct {
	link    linkID
	id      opID
	parked  bool   // the value is here
	attempt uint8  // as asked
	to      linkID // of a send that was passed on
}

type entries struct {
	n    uint8
	list [maxOps]entry
}

func (e *entries) index(s linkID, id opID) int {
	for i := range e.n {
		if e.list[i].link == s && e.list[i].id == id {
			return int(i)
		}
	}
	return -1
}

func (e *entries) insert(at int, x entry) {
	copy(e.list[at+1:], e.list[at:e.n])
	e.list[at] = x
	e.n++
}

func (e *entries) push(x entry) { e.insert(int(e.n), x) }

func (e *entries) remove(at int) {
	copy(e.list[at:], e.list[at+1:e.n])
	e.n--
	e.list[e.n] = entry{}
}

// restore puts x before what its owner started later, else at the end.
func (e *entries) restore(x entry) {
	at := int(e.n)
	for i := int(e.n) - 1; i >= 0; i-- {
		if o := e.list[i]; o.link == x.link {
			if o.id < x.id {
				break
			}
			at = i
		}
	}
	e.insert(at, x)
}

// A pair is a match under way.
type pair struct {
	owner   linkID // of the send
	send    opID
	other   linkID // of the owner of the receive; 0: this peer
	receive opID
}

type pairs struct {
	n    uint8
	list [maxOps]pair
}

func (p *pairs) index(s linkID, id opID) int {
	for i := range p.n {
		if p.list[i].owner == s && p.list[i].send == id {
			return int(i)
		}
	}
	return -1
}

func (p *pairs) remove(at int) pair {
	x := p.list[at]
	copy(p.list[at:], p.list[at+1:p.n])
	p.n--
	p.list[p.n] = pair{}
	return x
}

// A phase is where an operation is, for its owner.
type phase uint8

const (
	idle phase = iota
	waiting
	offered
	over
)

// A result is what an operation's caller was told.
type result uint8

const (
	none result = iota
	done
	cancelled // or closed, or another alternative was chosen
	inDoubt
)

// An operation is a send or a receive. What it is the plan says.
type operation struct {
	phase      phase
	result     result
	registered bool
	promised   bool
	abandoned  bool
	blocks     bool
	attempt    uint8 // the last attempt
	term       uint8 // the term of the home that was asked then
	offer      offer
	deferred   deferredOffer
	received   uint8 // how often a send's value was
	got        opID  // the send that a receive accepted
	lost       bool  // its owner crashed
}

type offer struct {
	to          peerID
	via         linkID
	incarnation uint8
	receive     opID
	anyReceive  bool
	resumed     bool
	asksOnly    bool   // whether it was taken, no more
	by          peerID // who last had it, and was lost
	matcher     linkID
}

// A deferredOffer is a value that is offered to a receive of a tentative choice.
type deferredOffer struct {
	from   linkID
	origin peerID // set if the value was passed on
	send   opID
}

type choiceState uint8

const (
	open choiceState = iota
	tentative
	decided
)

// A choice is a select.
type choice struct {
	state choiceState
	op    opID  // that is tentative, or decided on
	ended bool  // its context has
	todo  uint8 // alternatives that the select comes to
	stops bool  // and it begins no more of them
}

// An attachment is what a channel and a session have to do with each other.
type attachment struct {
	on         bool
	numbered   bool // the other side's number is known
	helloSent  bool
	joined     bool
	helloClaim claim
	blocked    opID
}

// An end is a session as one of its two peers sees it.
type end struct {
	open            bool
	incarnation     uint8 // of the peer at the other end
	unacked         ids
	ackedCount      uint8
	acceptsReceived uint8
	attachments     [maxChannels]attachment
	in              flight // on its way here
}

type ids struct {
	n    uint8
	list [maxOps]opID
}

// A session is a stream, which breaks for both, but neither knows when the other
// learns of it.
type session struct {
	broken bool
	ends   [2]end // of the peer with the lower number first
}

type kind uint8

const (
	hello kind = iota + 1
	unknown
	leave
	send
	queued
	receive
	withdraw
	match
	matchResult
	deliver
	accept
	refuse
	relayLost
)

type outcome uint8

const (
	accepted outcome = iota + 1
	refused
	gone
)

// A frame is what the protocol's frame is, less what only bytes need.
type frame struct {
	kind    kind
	ch      channel
	claim   claim
	send    opID
	receive opID
	outcome outcome
	peer    peerID
	acked   uint8
	attempt uint8 // which attempt of the owner's this is, or answers
	term    uint8 // the term of the home that is asked
	choice  choiceID
	value   bool
	resumed bool
	relay   bool
}

// A flight is the frames on their way along a link in one direction.
type flight struct {
	n    uint8
	list [maxFlight]frame
}

func (f *flight) push(x frame) {
	f.list[f.n] = x
	f.n++
}

func (f *flight) pop() frame {
	x := f.list[0]
	copy(f.list[:], f.list[1:f.n])
	f.n--
	f.list[f.n] = frame{}
	return x
}
