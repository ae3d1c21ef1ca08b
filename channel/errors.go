package channel

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by operations on a channel that was left or
	// whose space is shut down.
	ErrClosed = errors.New("channel closed")

	// ErrInDoubt says that a value may have been received or not: the peer
	// that was taking it was lost in the act. [InDoubtError] names the peer.
	ErrInDoubt = errors.New("in doubt")

	// ErrName says that a channel's name is not valid.
	ErrName = errors.New("channel name not valid")

	// ErrTooLarge says that a value is over MaxValue, nested too deep, or takes
	// too much memory at its receiver. It was not sent.
	ErrTooLarge = errors.New("value too large")

	// ErrLimit says that a space has as many channels, or a channel as many
	// operations waiting, as it may have.
	ErrLimit = errors.New("limit reached")

	// ErrType says that a received value is not of the channel's type.
	// [TypeError] names both types.
	ErrType = errors.New("wrong type")
)

// An InDoubtError is the one error of a send whose value may nevertheless have
// been received. It wraps [ErrInDoubt].
type InDoubtError struct {
	// Peer is the ID of the peer that was lost while it took the value.
	Peer string
}

func (e *InDoubtError) Error() string {
	return fmt.Sprintf("in doubt: peer %s was lost while it took the value", e.Peer)
}

// Unwrap returns ErrInDoubt.
func (e *InDoubtError) Unwrap() error { return ErrInDoubt }

// A TypeError says that a value was received that cannot be decoded as the
// receiver's type. The value is spent; the channel goes on. It wraps
// [ErrType].
type TypeError struct {
	Want string // the receiver's type
	Got  string // the sender's type
	Err  error  // what the decoder said, or nil
}

func (e *TypeError) Error() string {
	s := fmt.Sprintf("wrong type: a value of type %q was sent to a channel opened for %q; open both ends with one type", e.Got, e.Want)
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	return s
}

// Unwrap returns ErrType.
func (e *TypeError) Unwrap() error { return ErrType }

// A SentError is what a receiver gets of an error that a sender sent with
// SendError, in place of a value. Within a process it wraps the error itself.
// Between processes it wraps one with the same text, and of the same kind if it
// is one of this package's or a context's.
type SentError struct{ Err error }

func (e *SentError) Error() string { return "sent in place of a value: " + e.Err.Error() }

// Unwrap returns the error that was sent.
func (e *SentError) Unwrap() error { return e.Err }

// A Code numbers a kind of error where errors travel as bytes. Numbers are
// never reused: new kinds are added at the end.
type Code uint8

// The kinds of error that keep their identity on their way.
const (
	CodeOK Code = iota
	CodeOther
	CodeClosed
	CodeInDoubt
	CodeName
	CodeTooLarge
	CodeLimit
	CodeCanceled
	CodeDeadline
	CodeType
)

// sentinels are the kinds by number. Of an error of several kinds, the first
// travels.
var sentinels = [...]error{
	CodeClosed:   ErrClosed,
	CodeInDoubt:  ErrInDoubt,
	CodeName:     ErrName,
	CodeTooLarge: ErrTooLarge,
	CodeLimit:    ErrLimit,
	CodeCanceled: context.Canceled,
	CodeDeadline: context.DeadlineExceeded,
	CodeType:     ErrType,
}

// Encode returns the number of err's kind and the text that goes with it.
func Encode(err error) (Code, string) {
	if err == nil {
		return CodeOK, ""
	}
	// A doubt is never hidden by what else the error says.
	if errors.Is(err, ErrInDoubt) {
		var doubt *InDoubtError
		if errors.As(err, &doubt) {
			return CodeInDoubt, doubt.Peer
		}
		return CodeInDoubt, ""
	}
	for code, sentinel := range sentinels {
		if sentinel != nil && errors.Is(err, sentinel) {
			return Code(code), err.Error()
		}
	}
	return CodeOther, err.Error()
}

// Decode is the inverse of [Encode]: its error is of the same kind, so that
// errors.Is sees what it would have seen at the source, and errors.As an
// [InDoubtError]. A number that is not known stands for CodeOther.
func Decode(code Code, text string) error {
	switch {
	case code == CodeOK:
		return nil
	case code == CodeInDoubt:
		return &InDoubtError{Peer: text}
	case int(code) < len(sentinels) && sentinels[code] != nil:
		return &travelled{text: text, kind: sentinels[code]}
	}
	return errors.New(text)
}

// travelled is an error that came as bytes.
type travelled struct {
	text string
	kind error
}

func (e *travelled) Error() string { return e.text }
func (e *travelled) Unwrap() error { return e.kind }
