package peertest

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/dstackless/dstackless/channel"
)

var errForeign = errors.New("peertest: select: an endpoint is not of this process")

// Open implements [channel.Space]; use channel.Open.
func (p *Process) Open(ctx context.Context, name channel.Name) (channel.Endpoint, error) {
	e := &remoteEnd{process: p, life: p.current()}
	if err := e.life.call(ctx, request{Do: "open", Name: string(name)}, &e.id); err != nil {
		return nil, err
	}
	return e, nil
}

// Select implements [channel.Space]; use channel.Select.
func (p *Process) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	r := request{Do: "select", Wait: wait}
	l := p.current()
	for _, a := range alternatives {
		e, ok := a.End.(*remoteEnd)
		if !ok || e.life != l {
			return -1, errForeign
		}
		x := alternative{End: e.id, Send: a.Payload != nil}
		if x.Send {
			var err error
			if x.Value, err = a.Payload.Encode(); err != nil {
				return -1, err
			}
		}
		r.Among = append(r.Among, x)
	}
	chosen := -1
	a, err := l.do(ctx, r)
	if len(a.More) > 0 {
		if err := json.Unmarshal(a.More, &chosen); err != nil {
			return -1, err
		}
	}
	if err == nil && chosen >= 0 && alternatives[chosen].Sink != nil {
		alternatives[chosen].Sink.Accept(channel.Bytes(a.Value))
	}
	return chosen, err
}

// A remoteEnd is an endpoint in a process.
type remoteEnd struct {
	process *Process
	life    *life
	id      uint64
}

func (e *remoteEnd) Send(ctx context.Context, p channel.Payload) error {
	value, err := p.Encode()
	if err != nil {
		return err
	}
	_, err = e.life.do(ctx, request{Do: "send", Of: e.id, Value: value})
	return err
}

func (e *remoteEnd) SendAsync(p channel.Payload, done func(error)) channel.Withdrawer {
	value, err := p.Encode()
	if err != nil {
		done(err)
		return &remoteOp{}
	}
	id := e.life.ask(request{Do: "async", Of: e.id, Value: value}, func(_ answer, err error) { done(err) })
	return &remoteOp{e.life, id}
}

// A remoteOp is an operation under way in a process.
type remoteOp struct {
	life *life
	id   uint64
}

func (o *remoteOp) Withdraw(err error) {
	if o.life != nil {
		c, text := encodeError(err)
		o.life.ask(request{Do: "cancel", Of: o.id, Code: c, Name: text}, func(answer, error) {})
	}
}

func (e *remoteEnd) Receive(ctx context.Context, s channel.Sink) error {
	a, err := e.life.do(ctx, request{Do: "receive", Of: e.id})
	if err == nil {
		s.Accept(channel.Bytes(a.Value))
	}
	return err
}

func (e *remoteEnd) ReceiveAsync(s channel.Sink, done func(error)) channel.Withdrawer {
	id := e.life.ask(request{Do: "receive", Of: e.id}, func(a answer, err error) {
		if err == nil {
			s.Accept(channel.Bytes(a.Value))
		}
		done(err)
	})
	return &remoteOp{e.life, id}
}

func (e *remoteEnd) Close(ctx context.Context) error {
	return e.life.call(ctx, request{Do: "close", Of: e.id}, nil)
}

func (e *remoteEnd) Closed() (closed bool) {
	err := e.life.call(context.Background(), request{Do: "closed", Of: e.id}, &closed)
	return closed || err != nil
}

func (e *remoteEnd) Balance(ctx context.Context) (n int, err error) {
	err = e.life.call(ctx, request{Do: "balance", Of: e.id}, &n)
	return n, err
}

// Leave implements channel.Endpoint. A process that is gone has left.
func (e *remoteEnd) Leave() error {
	if err := e.life.call(context.Background(), request{Do: "leave", Of: e.id}, nil); !errors.Is(err, ErrKilled) {
		return err
	}
	return nil
}
