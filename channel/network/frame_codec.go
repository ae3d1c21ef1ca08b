package network

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/codec"
)

// append encodes f behind dst. The value is left out, for the caller to write
// without a copy: it is always last.
func (f *frame) append(dst []byte) []byte {
	dst = append(dst, byte(f.kind))
	dst = binary.AppendUvarint(dst, f.number)
	switch f.kind {
	case hello:
		dst = append(dst, f.key[:]...)
		dst = append(dst, f.proof[:]...)
		dst = binary.AppendUvarint(dst, f.claim.term)
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
		dst = binary.AppendUvarint(dst, f.acked)
		if f.kind == send {
			dst = binary.AppendUvarint(dst, f.attempt)
			dst = binary.AppendUvarint(dst, f.term)
		}
		dst = append(dst, f.flags())
	case queued:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.AppendUvarint(dst, f.attempt)
	case accept, refuse, relayLost:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = appendString(dst, string(f.peer))
	case receive:
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
	case withdraw:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
	case match:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
		dst = binary.AppendUvarint(dst, f.attempt)
		dst = binary.LittleEndian.AppendUint64(dst, f.incarnation)
		dst = appendString(dst, string(f.peer))
		dst = appendAddrs(dst, f.addrs)
	case matchResult:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
		dst = append(dst, byte(f.outcome))
	case probe:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.LittleEndian.AppendUint64(dst, f.receive)
	case probeReply:
		dst = binary.LittleEndian.AppendUint64(dst, f.send)
		dst = binary.AppendUvarint(dst, f.sends)
		dst = binary.AppendUvarint(dst, f.receives)
		dst = append(dst, f.flags())
	case successor:
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
	if f.resumed {
		b |= flagAgain
	}
	if f.relay {
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

// appendAddrs appends the first addresses that a frame may hold.
func appendAddrs(dst []byte, addrs []string) []byte {
	at, left := len(dst), maxAddrsBytes
	dst = append(dst, 0)
	for _, a := range addrs {
		if len(a) <= min(maxAddrBytes, left) && dst[at] < maxAddrCount {
			left -= len(a)
			dst[at]++
			dst = appendString(dst, a)
		}
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
		f.claim.term = r.uvarint()
		f.claim.home = r.id()
		f.addrs = r.addrs()
		if (f.claim.term == 0) != (f.claim.home == "") || f.claim.term > maxTerm {
			r.fail()
		}
	case unknown:
		r.hash(&f.key)
	case leave, channelClosed, drained, ping:
	case send, deliver:
		f.send = r.uint64()
		if f.kind == deliver {
			f.receive = r.uint64()
			f.peer = r.id()
			f.choice = r.uvarint()
		}
		f.acked = r.uvarint()
		if f.kind == send {
			f.attempt, f.term = r.uvarint(), r.uvarint()
		}
		flags := r.byte()
		f.resumed = flags&flagAgain != 0
		if flags&flagValue != 0 {
			f.value, r.rest = r.rest, nil
		}
		f.relay = flags&flagPass != 0
		f.ordered = flags&flagOrdered != 0
		switch {
		case flags > flagValue|flagAgain|flagPass|flagOrdered, len(f.value) > channel.MaxValue,
			f.value == nil && f.kind == deliver,
			f.relay && f.peer == "", f.ordered && f.kind == deliver:
			r.fail()
		}
	case queued:
		f.send = r.uint64()
		f.attempt = r.uvarint()
	case withdraw:
		f.send = r.uint64()
	case accept, refuse, relayLost:
		f.send = r.uint64()
		f.peer = r.id()
	case receive:
		f.receive = r.uint64()
	case match:
		f.send = r.uint64()
		f.receive = r.uint64()
		f.attempt = r.uvarint()
		f.incarnation = r.uint64()
		f.peer = r.id()
		f.addrs = r.addrs()
		if f.peer == "" {
			r.fail()
		}
	case matchResult:
		f.send = r.uint64()
		f.receive = r.uint64()
		if f.outcome = outcome(r.byte()); f.outcome < accepted || f.outcome > later {
			r.fail()
		}
	case probe:
		f.send = r.uint64()
		f.receive = r.uint64()
	case probeReply:
		f.send = r.uint64()
		f.sends, f.receives = r.uvarint(), r.uvarint()
		flags := r.byte()
		if f.waits = flags == flagWaits; flags > flagWaits || !f.waits && flags != 0 || f.sends|f.receives > math.MaxInt32 {
			r.fail()
		}
	case successor:
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
