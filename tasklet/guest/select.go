package guest

import (
	"context"
	"errors"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
)

// Select has the host do one of the alternatives.
func (s *space) Select(ctx context.Context, alternatives []channel.Alternative, wait bool) (int, error) {
	if len(alternatives) > abi.MaxAlternatives {
		return -1, channel.ErrLimit
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	request := make([]abi.Alternative, len(alternatives))
	for i, a := range alternatives {
		e, ok := a.End.(*endpoint)
		if !ok || e.space != s {
			return -1, errors.New("an alternative is no operation of this space")
		}
		defer context.AfterFunc(e.ctx, cancel)() // who leaves an end ends the select
		request[i] = abi.Alternative{Name: string(e.name), Sends: a.Payload != nil}
		if a.Payload == nil {
			continue
		}
		var err error
		if request[i].Value, err = encode(a.Payload); err != nil {
			return i, err
		}
	}
	body, err := host.call(both, abi.KindSelect, abi.AppendSelect(nil, request, wait))
	if err != nil {
		for i, a := range alternatives {
			if a.End.(*endpoint).ctx.Err() != nil {
				return i, channel.ErrClosed
			}
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return -1, err
	}
	chosen, code, body, err := abi.ParseChosen(body)
	switch {
	case err != nil:
		return -1, err
	case chosen >= len(alternatives):
		return -1, abi.ErrMalformed
	case chosen < 0 || code != 0:
		return chosen, channel.Decode(channel.Code(code), string(body))
	}
	if sink := alternatives[chosen].Sink; sink != nil {
		sink.Accept(channel.Bytes(body))
	}
	return chosen, nil
}
