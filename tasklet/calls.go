package tasklet

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// errFrozen is why operations are withdrawn when a tasklet stops: they are
// made again where it goes on.
var errFrozen = errors.New("the tasklet is being moved or suspended")

// A call is a request of the program that has no answer yet.
type call struct {
	cancel func(error)
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
	case abi.KindSendAsync:
		p.sendAsync(c.ID, c.Payload)
	case abi.KindSelect:
		p.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return p.selectOne(ctx, c.Payload) })
	case abi.KindBalance:
		p.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return p.balance(ctx, c.Payload) })
	case abi.KindClosed:
		body, err := p.isClosed(c.Payload)
		p.answer(c.ID, body, err)
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
	if inst, err := p.live(); err == nil {
		inst.Reply(id, abi.AppendReply(nil, uint8(code), body))
	}
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
	p.calls[id] = call{context.CancelCauseFunc(cancel), stays}
	wg := &p.ops
	if stays {
		wg = &p.own
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

// withdraw takes back the operations under way, the last first. Those that had
// been matched finish first, and are answered; the others stay unanswered. The
// program's own moves are taken back only if they have not begun, by who has the
// turn.
func (p *process) withdraw(moves bool) {
	p.mu.Lock()
	calls := maps.Clone(p.calls)
	p.mu.Unlock()
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(calls))) {
		if c := calls[id]; !c.stays || moves {
			c.cancel(errFrozen)
		}
	}
	p.ops.Wait()
	if moves {
		p.own.Wait()
	}
}

func (p *process) cancel(payload []byte) error {
	id, err := abi.ParseCancel(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	c, ok := p.calls[id]
	p.mu.Unlock()
	if ok {
		c.cancel(context.Canceled)
	}
	return nil
}

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
