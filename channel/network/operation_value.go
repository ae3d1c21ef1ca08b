package network

import "github.com/dstackless/dstackless/channel"

// encode encodes a send's payload, once.
func (op *operation) encode() error {
	if op.encoded != nil {
		return nil
	}
	b, err := op.payload.Encode()
	if err != nil {
		return err
	}
	if b == nil {
		b = []byte{}
	}
	op.encoded = b
	return nil
}

// takes reports whether sink takes p as it is.
func takes(sink channel.Sink, p channel.Payload) bool {
	if _, is := p.(channel.Bytes); is {
		return true
	}
	t, can := sink.(channel.Taker)
	return can && t.Takes(p)
}

// prepare encodes the value of a send if sink needs that.
func (op *operation) prepare(sink channel.Sink) error {
	if takes(sink, op.payload) {
		return nil
	}
	return op.encode()
}

// valueFor returns the value of a send that was prepared for sink.
func (op *operation) valueFor(sink channel.Sink) channel.Payload {
	if takes(sink, op.payload) {
		return op.payload
	}
	return encodedValue(op.encoded)
}

// An encodedValue is the value of a send, in bytes that the send may use again.
type encodedValue []byte

// Encode implements [channel.Payload].
func (v encodedValue) Encode() ([]byte, error) { return v, nil }
