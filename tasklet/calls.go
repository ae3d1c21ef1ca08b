package tasklet

import (
	"context"
	"errors"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// errFrozen is why operations are withdrawn when a tasklet stops: they are
// made again where it goes on.
var errFrozen = errors.New("the tasklet is being moved")

// A call is a request of the program that has no answer yet.
type call struct {
	cancel context.CancelCauseFunc
	stays  bool // when the tasklet is frozen: it is the move itself
}

// Call implements [sandbox.Handler].
func (p *process) Call(c sandbox.Call) {
	switch c.Kind {
	case abi.KindOpen:
		p.answer(c.ID, nil, p.open(c.Payload))
	case abi.KindLeave:
		p.answer(c.ID, nil, p.leaveChannel(c.Payload))
	case abi.KindSend:
		p.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return nil, p.send(ctx, c.Payload) })
	case abi.KindReceive:
		p.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return p.receive(ctx, c.Payload) })
	case abi.KindClose:
		p.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return nil, p.closeChannel(ctx, c.Payload) })
	case abi.KindCancel:
		p.answer(c.ID, nil, p.cancel(c.Payload))
	case abi.KindMove:
		if c.ID == p.arrived {
			p.answer(c.ID, nil, nil)
			return
		}
		p.run(c.ID, true, func(ctx context.Context) ([]byte, error) { return nil, p.move(ctx, c.ID, c.Payload) })
	case abi.KindHost:
		p.answer(c.ID, []byte(p.host.node.ID().String()), nil)
	case abi.KindSelf:
		p.answer(c.ID, []byte(p.id), nil)
	default:
		p.answer(c.ID, nil, errors.New("this host does not know the request; is it older than the program?"))
	}
}

func (p *process) answer(id uint64, body []byte, err error) {
	code, text := channel.Encode(err)
	if err != nil {
		body = []byte(text)
	}
	p.inst.Reply(id, abi.AppendReply(nil, uint8(code), body))
}

// run does an operation in a goroutine of its own, and answers with what comes
// of it.
func (p *process) run(id uint64, stays bool, operation func(context.Context) ([]byte, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.calls[id]; again {
		return // a move that failed, and made the program go on, is still at work
	}
	ctx, cancel := context.WithCancelCause(p.host.ctx)
	p.calls[id] = call{cancel, stays}
	wg := &p.ops
	if stays {
		wg = &p.host.wg
	}
	wg.Go(func() {
		body, err := operation(ctx)
		cancelled := context.Cause(ctx)
		cancel(nil)
		p.mu.Lock()
		delete(p.calls, id)
		p.mu.Unlock()
		var elsewhere *movedError
		if err != nil && errors.Is(cancelled, errFrozen) && errors.Is(err, context.Canceled) || errors.As(err, &elsewhere) {
			return
		}
		p.answer(id, body, err)
	})
}

// withdraw takes back the operations under way. Those that had been matched
// finish first, and are answered; the others stay unanswered.
func (p *process) withdraw() {
	p.mu.Lock()
	for _, c := range p.calls {
		if !c.stays {
			c.cancel(errFrozen)
		}
	}
	p.mu.Unlock()
	p.ops.Wait()
}

func (p *process) cancel(payload []byte) error {
	id, err := abi.ParseCancel(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.calls[id]; ok {
		c.cancel(context.Canceled)
	}
	return nil
}

// end returns the program's end of a channel.
func (p *process) end(name channel.Name) (channel.Endpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := p.ends[name]; end != nil {
		return end, nil
	}
	end, err := p.host.space.Open(p.host.ctx, name)
	if err == nil {
		p.ends[name] = end
	}
	return end, err
}

func (p *process) open(payload []byte) error {
	name, err := abi.ParseString(payload)
	if err == nil {
		_, err = p.end(channel.Name(name))
	}
	return err
}

func (p *process) leaveChannel(payload []byte) error {
	name, err := abi.ParseString(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	end := p.ends[channel.Name(name)]
	delete(p.ends, channel.Name(name))
	p.mu.Unlock()
	if end == nil {
		return nil
	}
	return end.Leave()
}

func (p *process) closeChannel(ctx context.Context, payload []byte) error {
	name, err := abi.ParseString(payload)
	if err != nil {
		return err
	}
	end, err := p.end(channel.Name(name))
	if err != nil {
		return err
	}
	return end.Close(ctx)
}

func (p *process) send(ctx context.Context, payload []byte) error {
	name, value, err := abi.ParseSend(payload)
	if err != nil {
		return err
	}
	end, err := p.end(channel.Name(name))
	if err != nil {
		return err
	}
	if len(value) > channel.MaxValue {
		return channel.ErrTooLarge
	}
	return end.Send(ctx, channel.Bytes(value))
}

func (p *process) receive(ctx context.Context, payload []byte) ([]byte, error) {
	name, err := abi.ParseString(payload)
	if err != nil {
		return nil, err
	}
	end, err := p.end(channel.Name(name))
	if err != nil {
		return nil, err
	}
	var in encoded
	if err := end.Receive(ctx, &in); err != nil {
		return nil, err
	}
	return in.value, in.err
}

// encoded is a sink for a program, which gets all values as bytes.
type encoded struct {
	value []byte
	err   error
}

func (e *encoded) Accept(p channel.Payload) { e.value, e.err = p.Encode() }

// move moves the tasklet because it asked for it itself.
func (p *process) move(ctx context.Context, id uint64, payload []byte) error {
	peer, err := abi.ParseString(payload)
	if err != nil {
		return err
	}
	to, err := p2p.ParseID(peer)
	if err != nil {
		return err
	}
	return p.host.depart(ctx, p, to, id)
}
