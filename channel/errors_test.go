package channel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dstackless/dstackless/channel"
)

func TestErrorsTravel(t *testing.T) {
	for _, test := range []struct {
		code     channel.Code
		sentinel error
	}{
		{channel.CodeClosed, channel.ErrClosed},
		{channel.CodeInDoubt, channel.ErrInDoubt},
		{channel.CodeName, channel.ErrName},
		{channel.CodeTooLarge, channel.ErrTooLarge},
		{channel.CodeLimit, channel.ErrLimit},
		{channel.CodeCanceled, context.Canceled},
		{channel.CodeDeadline, context.DeadlineExceeded},
		{channel.CodeType, channel.ErrType},
	} {
		for _, err := range []error{test.sentinel, fmt.Errorf("channel: send on %q: %w", "name", test.sentinel)} {
			code, text := channel.Encode(err)
			if code != test.code {
				t.Errorf("%v has code %d, want %d", err, code, test.code)
			}
			got := channel.Decode(code, text)
			if !errors.Is(got, test.sentinel) {
				t.Errorf("%v came as %v", err, got)
			}
			if code != channel.CodeInDoubt && got.Error() != err.Error() {
				t.Errorf("%q came with the text %q", err, got)
			}
		}
	}
}

// The numbers are the protocol: they never change.
func TestCodes(t *testing.T) {
	for i, code := range []channel.Code{
		channel.CodeOK, channel.CodeOther, channel.CodeClosed, channel.CodeInDoubt, channel.CodeName,
		channel.CodeTooLarge, channel.CodeLimit, channel.CodeCanceled, channel.CodeDeadline, channel.CodeType,
	} {
		if int(code) != i {
			t.Errorf("code %d is now %d", i, code)
		}
	}
	for code := range 256 {
		err := channel.Decode(channel.Code(code), "text")
		if (err == nil) != (code == int(channel.CodeOK)) {
			t.Errorf("code %d: %v", code, err)
		}
	}
	if code, text := channel.Encode(nil); code != channel.CodeOK || text != "" {
		t.Errorf("no error has code %d, text %q", code, text)
	}
	if code, text := channel.Encode(errors.New("another")); code != channel.CodeOther || text != "another" {
		t.Errorf("an error of no kind has code %d, text %q", code, text)
	}
}

func TestDoubtKeepsItsPeer(t *testing.T) {
	err := fmt.Errorf("channel: send: %w", &channel.InDoubtError{Peer: "12D3KooW"})
	for range 50 {
		code, text := channel.Encode(errors.Join(channel.ErrClosed, context.Canceled, err))
		var doubt *channel.InDoubtError
		if got := channel.Decode(code, text); !errors.As(got, &doubt) || doubt.Peer != "12D3KooW" {
			t.Fatalf("the doubt came as %v", got)
		}
	}
}

// Of an error of two kinds always the same one travels.
func TestTwoKinds(t *testing.T) {
	err := errors.Join(context.Canceled, channel.ErrLimit, channel.ErrClosed)
	for range 50 {
		if code, _ := channel.Encode(err); code != channel.CodeClosed {
			t.Fatalf("code %d", code)
		}
	}
}
