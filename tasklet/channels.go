package tasklet

import (
	"context"
	"errors"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

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

// sendAsync begins a send, behind those that were begun before.
func (p *process) sendAsync(id uint64, payload []byte) {
	name, value, err := abi.ParseSend(payload)
	var end channel.Endpoint
	if err == nil {
		end, err = p.end(channel.Name(name))
	}
	if err == nil && len(value) > channel.MaxValue {
		err = channel.ErrTooLarge
	}
	if err != nil {
		p.answer(id, nil, err)
		return
	}
	p.ops.Add(1)
	over := false // guarded by p.mu
	send := end.SendAsync(channel.Bytes(value), func(err error) {
		defer p.ops.Done()
		p.mu.Lock()
		over = true
		delete(p.calls, id)
		p.mu.Unlock()
		if !errors.Is(err, errFrozen) {
			p.answer(id, nil, err)
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if !over {
		p.calls[id] = call{cancel: send.Withdraw}
	}
}

// selectOne does one of several operations.
func (p *process) selectOne(ctx context.Context, payload []byte) ([]byte, error) {
	parsed, wait, err := abi.ParseSelect(payload)
	if err != nil {
		return nil, err
	}
	alternatives := make([]channel.Alternative, len(parsed))
	for i, a := range parsed {
		end, err := p.end(channel.Name(a.Name))
		if err != nil {
			return nil, err
		}
		alternatives[i].End = end
		if !a.Sends {
			alternatives[i].Sink = new(encoded)
		} else if len(a.Value) > channel.MaxValue {
			return nil, channel.ErrTooLarge
		} else {
			alternatives[i].Payload = channel.Bytes(a.Value)
		}
	}
	chosen, err := p.host.space.Select(ctx, alternatives, wait)
	if chosen < 0 && err != nil {
		return nil, err
	}
	var body []byte
	if chosen >= 0 && err == nil && !parsed[chosen].Sends {
		in := alternatives[chosen].Sink.(*encoded)
		body, err = in.value, in.err
	}
	code, text := channel.Encode(err)
	if err != nil {
		body = []byte(text)
	}
	return abi.AppendChosen(nil, chosen, uint8(code), body), nil
}

func (p *process) balance(ctx context.Context, payload []byte) ([]byte, error) {
	name, err := abi.ParseString(payload)
	if err != nil {
		return nil, err
	}
	end, err := p.end(channel.Name(name))
	if err != nil {
		return nil, err
	}
	n, err := end.Balance(ctx)
	return abi.AppendBalance(nil, n), err
}

func (p *process) isClosed(payload []byte) ([]byte, error) {
	name, err := abi.ParseString(payload)
	if err != nil {
		return nil, err
	}
	end, err := p.end(channel.Name(name))
	if err != nil {
		return nil, err
	}
	if end.Closed() {
		return []byte{1}, nil
	}
	return []byte{0}, nil
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

func (e *encoded) Accept(p channel.Payload) { e.value, e.err = channel.Copy(p) }
