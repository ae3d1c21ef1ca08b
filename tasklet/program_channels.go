package tasklet

import (
	"context"
	"errors"
	"fmt"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

const (
	// maxChannels is how many channels a program may have open.
	maxChannels = 1024
	// maxChannelsOfPeer is how many all programs may have open together that one
	// other peer started, or brought.
	maxChannelsOfPeer = 8192
	// maxChannelsOfPrograms is how many all programs of a host may have open
	// together. The rest of [network.MaxChannels], a quarter, is for the peer
	// itself and for functions.
	maxChannelsOfPrograms = 48 << 10
)

// programSpace returns the space of a program's channels.
func (h *Host) programSpace() channel.Space {
	if s, ok := h.space.(interface{ Rationed() channel.Space }); ok {
		return s.Rationed()
	}
	return h.space
}

// end returns the program's end of a channel.
func (g *guest) end(name channel.Name) (channel.Endpoint, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if end := g.ends[name]; end != nil {
		return end, nil
	}
	if len(g.ends) >= maxChannels {
		return nil, fmt.Errorf("%w: %w", channel.ErrLimit, g.host.exceeds(LimitChannels, maxChannels, maxChannels, 1))
	}
	if err := g.countChannels(1); err != nil {
		return nil, fmt.Errorf("%w: %w", channel.ErrLimit, err)
	}
	end, err := g.space.Open(g.host.ctx, name)
	if err != nil {
		g.countChannels(-1)
		return nil, err
	}
	g.ends[name] = end
	return end, nil
}

// named returns the program's end of the channel that a request names.
func (g *guest) named(payload []byte) (channel.Endpoint, error) {
	name, err := abi.ParseString(payload)
	if err != nil {
		return nil, err
	}
	return g.end(channel.Name(name))
}

func (g *guest) open(payload []byte) error {
	_, err := g.named(payload)
	return err
}

func (g *guest) leaveChannel(payload []byte) error {
	name, err := abi.ParseString(payload)
	if err != nil {
		return err
	}
	g.mu.Lock()
	end := g.ends[channel.Name(name)]
	delete(g.ends, channel.Name(name))
	g.mu.Unlock()
	if end == nil {
		return nil
	}
	g.countChannels(-1)
	return end.Leave()
}

func (g *guest) closeChannel(ctx context.Context, payload []byte) error {
	end, err := g.named(payload)
	if err != nil {
		return err
	}
	return end.Close(ctx)
}

func (g *guest) send(ctx context.Context, payload []byte) error {
	name, value, err := abi.ParseSend(payload)
	if err != nil {
		return err
	}
	end, err := g.end(channel.Name(name))
	if err != nil {
		return err
	}
	if len(value) > channel.MaxValue {
		return channel.ErrTooLarge
	}
	return end.Send(ctx, channel.Bytes(value))
}

// sendAsync begins a send, behind those that were begun before.
func (g *guest) sendAsync(id uint64, payload []byte) {
	name, value, err := abi.ParseSend(payload)
	var end channel.Endpoint
	if err == nil {
		end, err = g.end(channel.Name(name))
	}
	if err == nil && len(value) > channel.MaxValue {
		err = channel.ErrTooLarge
	}
	if err != nil {
		g.answer(id, nil, err)
		return
	}
	g.ops.Add(1)
	over := false // guarded by g.mu
	send := end.SendAsync(channel.Bytes(value), func(err error) {
		defer g.ops.Done()
		g.mu.Lock()
		over = true
		delete(g.calls, id)
		g.mu.Unlock()
		if !errors.Is(err, errFrozen) {
			g.answer(id, nil, err)
		}
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if !over {
		g.calls[id] = call{cancel: send.Withdraw}
	}
}

// selectOne does one of several operations.
func (g *guest) selectOne(ctx context.Context, payload []byte) ([]byte, error) {
	parsed, wait, err := abi.ParseSelect(payload)
	if err != nil {
		return nil, err
	}
	alternatives := make([]channel.Alternative, len(parsed))
	for i, a := range parsed {
		end, err := g.end(channel.Name(a.Name))
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
	chosen, err := g.host.space.Select(ctx, alternatives, wait)
	if chosen < 0 && err != nil {
		return nil, err
	}
	var body []byte
	if chosen >= 0 && err == nil && !parsed[chosen].Sends {
		in := alternatives[chosen].Sink.(*encoded)
		body, err = in.value, in.err
	}
	code, text := channel.Encode(public(err))
	if err != nil {
		body = []byte(text)
	}
	return abi.AppendChosen(nil, chosen, uint8(code), body), nil
}

func (g *guest) balance(ctx context.Context, payload []byte) ([]byte, error) {
	end, err := g.named(payload)
	if err != nil {
		return nil, err
	}
	n, err := end.Balance(ctx)
	return abi.AppendBalance(nil, n), err
}

func (g *guest) isClosed(payload []byte) ([]byte, error) {
	end, err := g.named(payload)
	if err != nil {
		return nil, err
	}
	if end.Closed() {
		return []byte{1}, nil
	}
	return []byte{0}, nil
}

func (g *guest) receive(ctx context.Context, payload []byte) ([]byte, error) {
	end, err := g.named(payload)
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
