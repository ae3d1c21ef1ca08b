package tasklet

import (
	"context"
	"fmt"

	"github.com/dstackless/dstackless/codec"
	"github.com/dstackless/dstackless/tasklet/abi"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// requestsMax is how many requests of one program that concern other tasklets may
// be without answer.
const requestsMax = 256

// An request is a request of a program that concerns another tasklet. Nothing waits
// for one that is under way when the program stops: two programs may be about to
// stop each other. It is given up, and asked for again where the program goes on.
type request struct {
	*guest
	id      uint64
	kind    abi.Kind
	payload []byte
}

// startRequest begins one.
func (g *guest) startRequest(c sandbox.Call) {
	e := &request{g, c.ID, c.Kind, c.Payload}
	ctx, cancel := context.WithCancelCause(g.host.ctx)
	g.mu.Lock()
	room := g.requests < requestsMax
	if room {
		g.requests++
		g.calls[c.ID] = call{cancel: cancel, request: e}
	}
	g.mu.Unlock()
	switch {
	case !room:
		cancel(nil)
		g.answer(c.ID, answered(nil, g.host.exceeds(LimitRequests, requestsMax, requestsMax, 1)), nil)
	case !g.host.enter(): // the next start of the host asks again
		cancel(nil)
	default:
		go func() {
			defer g.host.wg.Done()
			defer cancel(nil)
			e.run(ctx)
		}()
	}
}

// run does the request, and answers unless it was given up.
func (e *request) run(ctx context.Context) {
	a, err := e.do(ctx)
	switch {
	case !e.drop(), e.host.ctx.Err() != nil:
	case err != nil && ctx.Err() != nil:
		e.answer(e.id, nil, ctx.Err())
	default:
		e.answer(e.id, answered(a, err), nil)
	}
}

// drop takes the request off the program's requests, and reports whether it was one
// of them.
func (e *request) drop() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.calls[e.id].request != e {
		return false
	}
	delete(e.calls, e.id)
	e.requests--
	return true
}

func (e *request) do(ctx context.Context) (*abi.Answer, error) {
	ref, peer, err := abi.ParseHandle(e.payload)
	if err != nil {
		return nil, err
	}
	if ID(ref.ID) == e.guest.id {
		return nil, errOwn
	}
	t, err := e.host.handle(Ref{ID(ref.ID), ref.Origin, ref.Key})
	if err != nil {
		return nil, err
	}
	switch e.kind {
	case abi.KindInfo:
		i, err := t.Info(ctx)
		return &abi.Answer{Info: i.forProgram()}, err
	case abi.KindWait:
		status, err := t.Wait(ctx)
		return &abi.Answer{Status: status}, err
	case abi.KindSteer:
		to, e := e.lookUp(ctx, peer)
		if e != nil {
			return nil, e
		}
		err = t.Move(ctx, to.String())
	case abi.KindKill:
		err = t.Kill(ctx)
	case abi.KindSuspend:
		err = t.Suspend(ctx)
	case abi.KindResume:
		err = t.Resume(ctx)
	}
	return nil, err
}

// answered encodes an answer, or an error in its place.
func answered(a *abi.Answer, err error) []byte {
	if a == nil {
		a = &abi.Answer{}
	}
	if err != nil {
		a.Failure = (*abi.Failure)(failureOf(err))
	}
	body, err := codec.Marshal(a, abi.MaxAnswer)
	if err != nil { // arguments of megabytes
		return answered(nil, fmt.Errorf("what is known is too much for a program: %w", err))
	}
	return body
}

func (i *Info) forProgram() *abi.Info {
	return &abi.Info{
		ID: string(i.ID), Program: i.Program, Args: i.Args, Function: i.Function, Origin: i.Origin, Host: i.Host,
		State: string(i.State), Status: i.Status, Error: i.Error, Started: i.Started,
	}
}
