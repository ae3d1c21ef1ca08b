package peertest

import (
	"github.com/dstackless/dstackless/channel/network"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// A Frame names something that peers say to each other: a frame of the channels'
// protocol or a message of the tasklets'. Packages channel/network and tasklet
// tell what each of them means.
type Frame string

// What is said about channels.
const (
	Hello       Frame = "channel/hello"        // who uses a channel tells another
	Unknown     Frame = "channel/unknown"      // the other does not use it
	Leave       Frame = "channel/leave"        // no longer
	Send        Frame = "channel/send"         // a send is registered with the home
	Queued      Frame = "channel/queued"       // the home has it in its queue
	Receive     Frame = "channel/receive"      // a receive is registered with the home
	Withdraw    Frame = "channel/withdraw"     // an operation is taken back
	Match       Frame = "channel/match"        // the home found a receive for a send
	MatchResult Frame = "channel/match-result" // what became of that
	Deliver     Frame = "channel/deliver"      // a value is offered to a receive
	Accept      Frame = "channel/accept"       // the receive has it
	Refuse      Frame = "channel/refuse"       // the receive has another
	Closed      Frame = "channel/closed"       // the channel is closed for everyone
	Drained     Frame = "channel/drained"      // nothing is left in it
	Probe       Frame = "channel/probe"        // is my receive in the home's queue?
	ProbeReply  Frame = "channel/probe-reply"  // the answer
	RelayLost   Frame = "channel/relay-lost"   // the home passed a value on to a peer that is lost
	Successor   Frame = "channel/successor"    // who is home if this one is lost
)

// What is said about tasklets. A move is, in this order: Offer, Welcome, Ready,
// rounds of Pages, Need and Data, then Frozen, Need, Data, Prepared, Commit and
// Running; Offer, Pages, Frozen, Data and Commit are the source's.
const (
	Offer    Frame = "tasklet/offer"    // may it come?
	Welcome  Frame = "tasklet/welcome"  // yes; its program is fetched
	Ready    Frame = "tasklet/ready"    // the program can run
	Pages    Frame = "tasklet/pages"    // names of pages, while it runs
	Frozen   Frame = "tasklet/frozen"   // it stands still; its continuation
	Need     Frame = "tasklet/need"     // which pages are missing
	Data     Frame = "tasklet/data"     // pages
	Prepared Frame = "tasklet/prepared" // everything is there
	Commit   Frame = "tasklet/commit"   // the source has given it up
	Running  Frame = "tasklet/running"  // it runs at the destination
	Watch    Frame = "tasklet/watch"    // tell me its output
	Event    Frame = "tasklet/event"    // output, a move, its end
	Control  Frame = "tasklet/control"  // kill it, move it, what became of it?
	Reply    Frame = "tasklet/reply"    // to Control
	Failure  Frame = "tasklet/failure"  // in place of any answer
)

// A Moment is when, of all that happens to a frame.
type Moment int

const (
	// Sending is before the first byte of the frame has left.
	Sending Moment = iota
	// Sent is after the last byte was handed to the transport. What the peer
	// said before it is on its way, and may get lost if the peer is killed.
	Sent
	// Receiving is when the frame has come, and the peer has not seen it.
	Receiving
)

func (m Moment) String() string {
	return [...]string{"sending", "sent", "receiving"}[m]
}

// A Step is a point of a peer's life.
type Step struct {
	Frame Frame
	When  Moment // default: Sending
	Skip  int    // how many times the peer passes there first
}

// A language is what is said on the streams of one protocol.
type language struct {
	preamble int
	name     func(first byte) string
	prefix   string
}

// spoken returns the language of a protocol that has steps.
func spoken(p p2p.Protocol) (language, bool) {
	switch p {
	case network.Protocol:
		return language{network.Preamble, network.FrameName, "channel/"}, true
	case tasklet.Protocol:
		return language{0, tasklet.MessageName, "tasklet/"}, true
	}
	return language{}, false
}

// valid reports whether there is such a frame.
func (f Frame) valid() bool {
	for _, p := range []p2p.Protocol{network.Protocol, tasklet.Protocol} {
		l, _ := spoken(p)
		for b := range 256 {
			if name := l.name(byte(b)); name != "" && Frame(l.prefix+name) == f {
				return true
			}
		}
	}
	return false
}
