package tasklet

import (
	"fmt"

	"github.com/dstackless/dstackless/channel"
)

// A Received is what a function has received from a channel while it was parked, and
// has not taken yet: a value, encoded as it travels, or an error.
type Received struct {
	Channel channel.Name
	Value   []byte
	Code    channel.Code
	Text    string // of the error
}

// maxReceived is how much of that may be in a continuation, in bytes.
const maxReceived = 2 * channel.MaxValue

func receivedFrom(name channel.Name, value []byte, err error) *Received {
	code, text := channel.Encode(public(err))
	return &Received{Channel: name, Value: value, Code: code, Text: text}
}

// give is what Receive returns.
func (r *Received) give(sink channel.Sink) error {
	if err := channel.Decode(r.Code, r.Text); err != nil {
		return err
	}
	sink.Accept(channel.Bytes(r.Value))
	return nil
}

// taken takes the first that was received from the channel of e, or returns nil.
func (e *end) taken() *Received {
	s := e.self
	s.routine.mu.Lock()
	defer s.routine.mu.Unlock()
	for i, r := range s.received {
		if r.Channel == e.name {
			if s.received = append(s.received[:i:i], s.received[i+1:]...); len(s.received) == 0 {
				s.received = nil
			}
			return &r
		}
	}
	return nil
}

// receivedSize returns how many bytes they have, each one at least.
func receivedSize(all []Received) (n uint64) {
	for i := range all {
		n += uint64(1 + len(all[i].Channel) + len(all[i].Value) + len(all[i].Text))
	}
	return n
}

// validateReceived checks what a continuation says that was received.
func validateReceived(all []Received) error {
	for i := range all {
		if err := all[i].Channel.Validate(); err != nil {
			return fmt.Errorf("%w: a value that was received: %w", ErrContinuation, err)
		}
	}
	if n := receivedSize(all); n > maxReceived {
		return fmt.Errorf("%w: over a limit: %d bytes were received, and not taken", ErrContinuation, n)
	}
	return nil
}
