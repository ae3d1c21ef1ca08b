package tasklet

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// errFrozen is why operations are withdrawn when a tasklet stops: they are
// made again where it goes on.
var errFrozen = errors.New("the tasklet is being moved or suspended")

// A call is a request of the program that has no answer yet.
type call struct {
	cancel  func(error)
	stays   bool     // when the tasklet is frozen: it is the move itself
	request *request // if it is one: when the tasklet is frozen, nobody waits for it
}

// Call implements [sandbox.Handler].
func (g *guest) Call(c sandbox.Call) {
	switch c.Kind {
	case abi.KindOpen:
		g.answer(c.ID, nil, g.open(c.Payload))
	case abi.KindLeave:
		g.answer(c.ID, nil, g.leaveChannel(c.Payload))
	case abi.KindSend:
		g.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return nil, g.send(ctx, c.Payload) })
	case abi.KindSendAsync:
		g.sendAsync(c.ID, c.Payload)
	case abi.KindSelect:
		g.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return g.selectOne(ctx, c.Payload) })
	case abi.KindBalance:
		g.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return g.balance(ctx, c.Payload) })
	case abi.KindClosed:
		body, err := g.isClosed(c.Payload)
		g.answer(c.ID, body, err)
	case abi.KindReceive:
		g.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return g.receive(ctx, c.Payload) })
	case abi.KindClose:
		g.run(c.ID, false, func(ctx context.Context) ([]byte, error) { return nil, g.closeChannel(ctx, c.Payload) })
	case abi.KindCancel:
		g.answer(c.ID, nil, g.cancel(c.Payload))
	case abi.KindMove:
		if c.ID == g.selfMoveCall {
			g.answer(c.ID, nil, nil)
			return
		}
		g.run(c.ID, true, func(ctx context.Context) ([]byte, error) { return nil, g.move(ctx, c.ID, c.Payload) })
	case abi.KindHost:
		g.answer(c.ID, []byte(g.host.node.ID().String()), nil)
	case abi.KindSelf:
		g.answer(c.ID, []byte(g.id), nil)
	case abi.KindRef:
		r, err := refOf(g.id, g.origin, g.key)
		g.answer(c.ID, abi.AppendRef(nil, abi.Ref{ID: string(r.ID), Origin: r.Origin, Key: r.Key}), err)
	case abi.KindInfo, abi.KindWait, abi.KindSteer, abi.KindKill, abi.KindSuspend, abi.KindResume:
		g.startRequest(c)
	default:
		g.answer(c.ID, nil, errors.New("this host does not know the request; is it older than the program?"))
	}
}

func (g *guest) answer(id uint64, body []byte, err error) {
	if hidden := public(err); hidden != err {
		g.host.log.Info("a program hears of an error without its details", "tasklet", g.id, "error", err)
		err = hidden
	}
	code, text := channel.Encode(err)
	if err != nil {
		body = []byte(text)
	}
	if inst := g.sandbox(); inst != nil {
		inst.Reply(id, abi.AppendReply(nil, uint8(code), body))
	}
}

// run does an operation in a goroutine of its own, and answers with what comes
// of it.
func (g *guest) run(id uint64, stays bool, operation func(context.Context) ([]byte, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, again := g.calls[id]; again {
		return // a move that failed, and made the program go on, is still at work
	}
	ctx, cancel := context.WithCancelCause(g.host.ctx)
	g.calls[id] = call{cancel: cancel, stays: stays}
	wg := &g.ops
	if stays {
		wg = &g.own
	}
	wg.Go(func() {
		body, err := operation(ctx)
		cancelled := context.Cause(ctx)
		cancel(nil)
		g.mu.Lock()
		delete(g.calls, id)
		g.mu.Unlock()
		var elsewhere *movedError
		if err != nil && errors.Is(cancelled, errFrozen) && errors.Is(err, context.Canceled) || errors.As(err, &elsewhere) {
			return
		}
		g.answer(id, body, err)
	})
}

// withdraw takes back the operations under way, the last first. Those that had
// been matched finish first, and are answered; the others stay unanswered, as do
// requests to other tasklets. The program's own moves are taken back only if they
// have not begun, by who holds opLock.
func (g *guest) withdraw(moves bool) {
	g.mu.Lock()
	calls := maps.Clone(g.calls)
	g.mu.Unlock()
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(calls))) {
		c := calls[id]
		if c.request != nil && !c.request.drop() { // it was answered
			continue
		}
		if !c.stays || moves {
			c.cancel(errFrozen)
		}
	}
	g.ops.Wait()
	if moves {
		g.own.Wait()
	}
}

func (g *guest) cancel(payload []byte) error {
	id, err := abi.ParseCancel(payload)
	if err != nil {
		return err
	}
	g.mu.Lock()
	c, ok := g.calls[id]
	g.mu.Unlock()
	if ok {
		c.cancel(context.Canceled)
	}
	return nil
}

// move moves the tasklet because it asked for it itself.
func (g *guest) move(ctx context.Context, id uint64, payload []byte) error {
	peer, err := abi.ParseString(payload)
	if err != nil {
		return err
	}
	to, err := g.lookUp(ctx, peer)
	if err != nil {
		return err
	}
	return g.host.moveTo(ctx, g.process, to, id)
}
