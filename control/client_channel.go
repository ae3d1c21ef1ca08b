package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// outcomeTimeout is how long a withdrawn operation may take to say what became of
// it, one second. A peer that answers takes milliseconds; one that is stopped or
// held up does not keep its clients.
const outcomeTimeout = time.Second

// A Channel is a client's use of one of the peer's channels. Its methods must
// not be called at the same time. Their errors are of the same kinds as those of
// [channel.Channel].
//
// A value is handed over in two steps: Receive returns it, and Taken confirms
// that it is safe. What is not confirmed when the client ends, in whatever way,
// the peer keeps for the next client that asks.
type Channel struct {
	cancel  context.CancelFunc
	orders  *orderQueue
	body    io.ReadCloser
	results *json.Decoder
}

// Channel opens the peer's channel called name.
func (c *Client) Channel(ctx context.Context, name string) (*Channel, error) {
	ch := &Channel{orders: newOrderQueue()}
	// Later, an operation that is cancelled still wants its result. So the
	// request as such ends with ctx only until the channel is open.
	var long context.Context
	long, ch.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, ch.cancel)()
	// The HTTP client does not return before a read of the body has.
	context.AfterFunc(long, func() { ch.orders.Close() })

	if err := ch.orders.put(order{Op: opOpen, Channel: []byte(name)}); err != nil {
		return nil, err
	}
	res, err := c.do(long, http.MethodPost, pathChannel, ch.orders)
	if err != nil {
		ch.cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	ch.body, ch.results = res.Body, json.NewDecoder(res.Body)
	return ch, nil
}

// Close gives the channel up. It waits for the peer to hear of it, a second at
// most.
func (ch *Channel) Close() error {
	ch.orders.Close()
	// The peer ends the response when it has read the end of the request.
	defer time.AfterFunc(outcomeTimeout, ch.cancel).Stop()
	io.Copy(io.Discard, ch.body)
	ch.cancel()
	return ch.body.Close()
}

// Send waits until a receiver has the value. When ctx ends first, the value is
// withdrawn; if it had already been received, Send returns nil. A peer that does
// not say within a second which of the two it was leaves the send in doubt: the
// error wraps [channel.ErrInDoubt] and ctx's error, and the channel is unusable.
func (ch *Channel) Send(ctx context.Context, value []byte) error {
	_, err := ch.do(ctx, order{Op: opSend, Value: value})
	return err
}

// Receive waits for a value. When ctx ends first, no value is taken; if there
// was one already, Receive returns it. Taken must be called before the next
// Receive. A peer that does not answer within a second after the end of ctx keeps
// what it received for the next client, and the channel is unusable.
func (ch *Channel) Receive(ctx context.Context) ([]byte, error) {
	return ch.do(ctx, order{Op: opReceive})
}

// Taken confirms the value that was received last.
func (ch *Channel) Taken() error { return ch.orders.put(order{Op: opTaken}) }

// do gives an order and waits for its result. When ctx ends it wants the
// operation stopped, and waits for the result for outcomeTimeout.
func (ch *Channel) do(ctx context.Context, o order) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := ch.orders.put(o); err != nil {
		return nil, lost(ctx, err)
	}
	late := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() {
		late <- time.AfterFunc(outcomeTimeout, ch.cancel)
		ch.orders.put(order{Op: opStop})
	})
	var res result
	err := ch.results.Decode(&res)
	if !stop() {
		(<-late).Stop()
	}
	switch {
	case err != nil && ctx.Err() != nil && o.Op == opSend:
		return nil, fmt.Errorf("%w: the peer did not say whether the value was received: %w", channel.ErrInDoubt, ctx.Err())
	case err != nil:
		return nil, lost(ctx, err)
	case res.Code == channel.CodeCanceled && ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return res.Value, channel.Decode(res.Code, res.Error)
}
