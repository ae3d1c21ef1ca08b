package network

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
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
	// settle tells the home what became of a match.
	settle

	// deliver offers a value to the owner of receive. Accept and refuse
	// answer it. If the two cannot reach each other the home passes these
	// frames on: peer is then the one at the far end.
	deliver
	accept
	refuse

	// shut says that the sender knows that the channel is closed for
	// everyone, and begins no more sends.
	shut
	// drained tells the owner of receives that nothing is left for them.
	drained

	// probe asks the home whether the operation receive is in its queue, and
	// how many are. Probed answers the probe called send.
	probe
	probed
	// astray tells the owner of send that it was passed on to peer, which is
	// lost and has not answered.
	astray
	// heir tells a member who is to be home if this one is lost.
	heir

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
	maxID    = 64       // bytes of a peer ID
	maxAddrs = 16       // addresses of a peer
	maxAddr  = 256      // bytes of an address
	headroom = 16 << 10 // bytes of a frame beside its value

	maxFrame = channel.MaxValue + headroom
)

// A frame is one message of the protocol. Which fields count depends on kind.
type frame struct {
	kind     kind
	number   uint64 // the channel, as numbered by the frame's sender
	key      hash
	proof    hash
	claim    claim
	send     uint64
	receive  uint64
	outcome  outcome
	peer     p2p.ID
	addrs    []string
	heard    uint64 // how many accepts of this session the sender of a value has heard
	at       uint64 // which attempt of the send it is, or answers
	under    uint64 // the generation of the home that a send was meant for
	run      uint64 // the life of peer that has the receive
	choice   uint64 // the sender's choice that the send is an alternative of; 0: none
	again    bool   // the value may have been taken before, in a session that broke; without it, whether it was is all that a send asks
	ordered  bool   // the send is of its sender's lane
	waits    bool   // the operation is in the queue
	sends    uint64 // in the queue
	receives uint64
	pass     bool   // the home is asked to pass the value on to peer
	value    []byte // nil: none
}

// append encodes f behind dst. The value is left out, for the caller to write
// without a copy: it is always last.
func (f *frame) append(dst []byte) []byte {
	dst = append(dst, byte(f.kind))
	dst = binary.AppendUvarint(dst, f.number)
	switch f.kind {
	case hello:
		dst = append(dst, f.key[:]...)
		dst = append(dst, f.proof[:]...)
		dst = binary.AppendUvarint(dst, f.claim.generation)
		dst = appendString(dst, string(f.claim.home))
		dst = appendAddrs(dst, f.addrs)
	case unknown:
		dst = append(dst, f.key[:]...)
	case send, deliver:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		if f.kind == deliver {
			dst = binary.LittleEndian.AppendUint64(dst, f.receive)
			dst = appendString(dst, string(f.peer))
			dst = binary.AppendUvarint(dst, f.choice)
		}
		dst = binary.AppendUvarint(dst, f.heard)
		if f.kind == send {
			dst = binary.AppendUvarint(dst, f.at)
			dst = binary.AppendUvarint(dst, f.under)
		}
		dst = append(dst, f.flags())
	case queued:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.AppendUvarint(dst, f.at)
	case accept, refuse, astray:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = appendString(dst, string(f.peer))
	case receive:
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
	case withdraw:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
	case match:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
		dst = binary.AppendUvarint(dst, f.at)
		dst = binary.LittleEndian.AppendUint64(dst, f.run)
		dst = appendString(dst, string(f.peer))
		dst = appendAddrs(dst, f.addrs)
	case settle:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
		dst = append(dst, byte(f.outcome))
	case probe:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
	case probed:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.AppendUvarint(dst, f.sends)
		dst = binary.AppendUvarint(dst, f.receives)
		dst = append(dst, f.flags())
	case heir:
		dst = appendString(dst, string(f.peer))
		dst = appendAddrs(dst, f.addrs)
	}
	return dst
}

const (
	flagValue = 1 << iota
	flagAgain
	flagPass
	flagOrdered
	flagWaits
)

func (f *frame) flags() (b byte) {
	if f.value != nil {
		b |= flagValue
	}
	if f.again {
		b |= flagAgain
	}
	if f.pass {
		b |= flagPass
	}
	if f.ordered {
		b |= flagOrdered
	}
	if f.waits {
		b |= flagWaits
	}
	return b
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendAddrs(dst []byte, addrs []string) []byte {
	addrs = addrs[:min(len(addrs), maxAddrs)]
	dst = append(dst, byte(len(addrs)))
	for _, a := range addrs {
		dst = appendString(dst, a)
	}
	return dst
}

// parseFrame decodes what append and the value behind it encode. The value
// shares its memory with b.
func parseFrame(b []byte) (frame, error) {
	r := reader{rest: b}
	f := frame{kind: kind(r.byte()), number: r.uvarint()}
	switch f.kind {
	case hello:
		r.hash(&f.key)
		r.hash(&f.proof)
		f.claim.generation = r.uvarint()
		f.claim.home = r.id()
		f.addrs = r.addrs()
		if (f.claim.generation == 0) != (f.claim.home == "") || f.claim.generation > maxGeneration {
			r.fail()
		}
	case unknown:
		r.hash(&f.key)
	case leave, shut, drained, ping:
	case send, deliver:
		f.send = r.uint64()
		if f.kind == deliver {
			f.receive = r.uint64()
			f.peer = r.id()
			f.choice = r.uvarint()
		}
		f.heard = r.uvarint()
		if f.kind == send {
			f.at, f.under = r.uvarint(), r.uvarint()
		}
		flags := r.byte()
		f.again = flags&flagAgain != 0
		if flags&flagValue != 0 {
			f.value, r.rest = r.rest, nil
		}
		f.pass = flags&flagPass != 0
		f.ordered = flags&flagOrdered != 0
		switch {
		case flags > flagValue|flagAgain|flagPass|flagOrdered, len(f.value) > channel.MaxValue,
			f.value == nil && f.kind == deliver,
			f.pass && f.peer == "", f.ordered && f.kind == deliver:
			r.fail()
		}
	case queued:
		f.send = r.uint64()
		f.at = r.uvarint()
	case withdraw:
		f.send = r.uint64()
	case accept, refuse, astray:
		f.send = r.uint64()
		f.peer = r.id()
	case receive:
		f.receive = r.uint64()
	case match:
		f.send = r.uint64()
		f.receive = r.uint64()
		f.at = r.uvarint()
		f.run = r.uint64()
		f.peer = r.id()
		f.addrs = r.addrs()
		if f.peer == "" {
			r.fail()
		}
	case settle:
		f.send = r.uint64()
		f.receive = r.uint64()
		if f.outcome = outcome(r.byte()); f.outcome < accepted || f.outcome > later {
			r.fail()
		}
	case probe:
		f.send = r.uint64()
		f.receive = r.uint64()
	case probed:
		f.send = r.uint64()
		f.sends, f.receives = r.uvarint(), r.uvarint()
		flags := r.byte()
		if f.waits = flags == flagWaits; flags > flagWaits || !f.waits && flags != 0 || f.sends|f.receives > math.MaxInt32 {
			r.fail()
		}
	case heir:
		f.peer = r.id()
		f.addrs = r.addrs()
	default:
		r.fail()
	}
	if r.failed || len(r.rest) != 0 {
		return frame{}, fmt.Errorf("network: frame of kind %d is %w", f.kind, codec.ErrMalformed)
	}
	return f, nil
}

// A reader takes fields off the front of rest until one is not there.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uvarint takes a varint in its shortest form only, so that a frame has one
// encoding.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) hash(h *hash) { copy(h[:], r.bytes(uint64(len(h)))) }

func (r *reader) string(limit uint64) string {
	n := r.uvarint()
	if n > limit {
		r.fail()
		return ""
	}
	return string(r.bytes(n))
}

func (r *reader) id() p2p.ID { return p2p.ID(r.string(maxID)) }

func (r *reader) addrs() []string {
	n := int(r.byte())
	if n > maxAddrs {
		r.fail()
	}
	var addrs []string
	for i := 0; i < n && !r.failed; i++ {
		addrs = append(addrs, r.string(maxAddr))
	}
	return addrs
}
