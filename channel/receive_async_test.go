package channel_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dstackless/dstackless/channel"
)

// A box is a sink of bytes.
type box struct {
	value []byte
	err   error
}

func (b *box) Accept(p channel.Payload) { b.value, b.err = channel.Copy(p) }

// Receives that nobody waits for end once: with a value, withdrawn, or left.
func TestReceiveAsync(t *testing.T) {
	overAll(t, func(t *testing.T, p pair) {
		ctx := soon(t)
		const name = "receive async"
		from := open[[]byte](t, p.to, name)
		end, err := p.from.Open(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, 3)
		begin := func(b *box) channel.Withdrawer {
			w := end.ReceiveAsync(b, func(err error) { outcomes <- err })
			until(ctx, t, func() bool { return p.waits(name) })
			return w
		}
		errEnough := errors.New("enough")
		var withdrawn, received, left box
		begin(&withdrawn).Withdraw(errEnough)
		if err := <-outcomes; err != errEnough || withdrawn.value != nil {
			t.Errorf("withdrawn: %v, %q", err, withdrawn.value)
		}
		w := begin(&received)
		if err := from.Send(ctx, []byte("value")); err != nil {
			t.Fatal(err)
		}
		if err := <-outcomes; err != nil || received.err != nil || !bytes.HasSuffix(received.value, []byte("value")) {
			t.Errorf("received: %v, %q, %v", err, received.value, received.err)
		}
		w.Withdraw(errEnough) // is too late
		begin(&left)
		end.Leave()
		if err := <-outcomes; !errors.Is(err, channel.ErrClosed) || left.value != nil {
			t.Errorf("left: %v, %q", err, left.value)
		}
		end.ReceiveAsync(&left, func(err error) { outcomes <- err })
		if err := <-outcomes; !errors.Is(err, channel.ErrClosed) {
			t.Errorf("begun when it was left: %v", err)
		}
		if len(outcomes) > 0 {
			t.Errorf("one ended twice, with %v", <-outcomes)
		}
	})
}
