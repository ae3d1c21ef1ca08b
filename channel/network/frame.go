package network

import (
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
)

// A kind says what a frame asks or answers. Numbers are never reused.
type kind uint8

const (
	// hello binds number to the channel with that key for the rest of the
	// session, proves that its sender knows the name, and tells whom the
	// sender takes for the channel's home.
	hello kind = iota + 1
	// unknown answers a hello: its receiver has no such channel.
	unknown
	// leave ends what hello began.
	leave

	// send asks the home to find a receive for the operation send. With a
	// value, the home may take it at once for a receive of its own.
	send
	// queued answers a send whose value the home did not take.
	queued
	// receive asks the home to find a send for the operation receive.
	receive
	// withdraw takes back a send or a receive.
	withdraw
	// match tells the owner of send to deliver it to receive at peer.
	match
	// matchResult tells the home what became of a match.
	matchResult

	// deliver offers a value to the owner of receive. Accept and refuse
	// answer it. If the two cannot reach each other the home passes these
	// frames on: peer is then the one at the far end.
	deliver
	accept
	refuse

	// channelClosed says that the sender knows that the channel is closed for
	// everyone, and begins no more sends.
	channelClosed
	// drained tells the owner of receives that nothing is left for them.
	drained

	// probe asks the home whether the operation receive is in its queue, and
	// how many are. Probed answers the probe called send.
	probe
	probeReply
	// relayLost tells the owner of send that it was passed on to peer, which is
	// lost and has not answered.
	relayLost
	// successor tells a member who is to be home if this one is lost.
	successor

	// ping says that its sender is alive. It is of no channel.
	ping
)

// An outcome is what became of a match. Numbers are never reused.
type outcome uint8

const (
	accepted outcome = iota + 1 // the receive has the value
	refused                     // the receive was no longer waiting
	gone                        // the send was no longer waiting
	later                       // the send waits, and is said to again
)

// Limits of what a frame may hold.
const (
	maxIDBytes   = 64  // bytes of a peer ID
	maxAddrCount = 16  // addresses of a peer
	maxAddrBytes = 256 // bytes of an address
	// maxAddrsBytes is how many bytes all addresses have. So a hello has less than
	// 4 KiB, and nobody needs a longer frame before it.
	maxAddrsBytes      = 3 << 10
	frameHeadroomBytes = 16 << 10 // bytes of a frame beside its value

	maxFrameBytes = channel.MaxValue + frameHeadroomBytes
)

// A frame is one message of the protocol. Which fields count depends on kind.
type frame struct {
	kind        kind
	number      uint64 // the channel, as numbered by the frame's sender
	key         hash
	proof       hash
	claim       claim
	send        uint64
	receive     uint64
	outcome     outcome
	peer        p2p.ID
	addrs       []string
	acked       uint64 // how many accepts of this session the sender of a value has heard
	attempt     uint64 // which attempt of the send it is, or answers
	term        uint64 // the term of the home that a send was meant for
	incarnation uint64 // the incarnation of peer that has the receive
	choice      uint64 // the sender's choice that the send is an alternative of; 0: none
	resumed     bool   // the value may have been taken before, in a session that broke; without it, whether it was is all that a send asks
	ordered     bool   // the send is of its sender's pipeline
	waits       bool   // the operation is in the queue
	sends       uint64 // in the queue
	receives    uint64
	relay       bool   // the home is asked to pass the value on to peer
	value       []byte // nil: none
}
