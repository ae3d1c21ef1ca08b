package control

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// grace is how long a withdrawn operation may take to say what became of it:
// 15 seconds, which is more than the peer takes.
const grace = 15 * time.Second

// A Channel is a client's use of one of the peer's channels. Its methods must
// not be called at the same time. Their errors are of the same kinds as those of
// [channel.Channel].
//
// A value is handed over in two steps: Receive returns it, and Taken confirms
// that it is safe. What is not confirmed when the client ends, in whatever way,
// the peer keeps for the next client that asks.
type Channel struct {
	cancel  context.CancelFunc
	body    io.ReadCloser
	results *json.Decoder

	mu     sync.Mutex
	pipe   *io.PipeWriter
	orders *json.Encoder
}

// Channel opens the peer's channel called name.
func (c *Client) Channel(ctx context.Context, name string) (*Channel, error) {
	r, w := io.Pipe()
	ch := &Channel{pipe: w, orders: json.NewEncoder(w)}
	// Later, an operation that is cancelled still wants its result. So the
	// request as such ends with ctx only until the channel is open.
	var long context.Context
	long, ch.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, ch.cancel)()

	go ch.order(order{Op: opOpen, Channel: []byte(name)})
	res, err := c.do(long, http.MethodPost, pathChannel, r)
	if err != nil {
		ch.cancel()
		r.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	ch.body, ch.results = res.Body, json.NewDecoder(res.Body)
	return ch, nil
}

// Close gives the channel up.
func (ch *Channel) Close() error {
	ch.pipe.Close()
	// The peer ends the response when it has read the end of the request.
	defer time.AfterFunc(grace, ch.cancel).Stop()
	io.Copy(io.Discard, ch.body)
	ch.cancel()
	return ch.body.Close()
}

// Send waits until a receiver has the value. When ctx ends first, the value is
// withdrawn; if it had already been received, Send returns nil.
func (ch *Channel) Send(ctx context.Context, value []byte) error {
	_, err := ch.do(ctx, order{Op: opSend, Value: value})
	return err
}

// Receive waits for a value. When ctx ends first, no value is taken; if there
// was one already, Receive returns it. Taken must be called before the next
// Receive.
func (ch *Channel) Receive(ctx context.Context) ([]byte, error) {
	return ch.do(ctx, order{Op: opReceive})
}

// Taken confirms the value that was received last.
func (ch *Channel) Taken() error { return ch.order(order{Op: opTaken}) }

// do gives an order and waits for its result. When ctx ends it wants the
// operation stopped, and still waits for the result, though not for long.
func (ch *Channel) do(ctx context.Context, o order) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := ch.order(o); err != nil {
		return nil, lost(ctx, err)
	}
	late := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() {
		late <- time.AfterFunc(grace, ch.cancel)
		ch.order(order{Op: opStop})
	})
	var res result
	err := ch.results.Decode(&res)
	if !stop() {
		(<-late).Stop()
	}
	switch {
	case err != nil:
		return nil, lost(ctx, err)
	case res.Code == channel.CodeCanceled && ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return res.Value, channel.Decode(res.Code, res.Error)
}

func (ch *Channel) order(o order) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.orders.Encode(o) // fails when the connection is gone
}
