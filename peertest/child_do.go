package peertest

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/dstackless/dstackless/channel"
)

// do does what is asked for and says what came of it.
func (c *child) do(ctx context.Context, r *request) (answer, error) {
	c.mu.Lock()
	peer := c.peer
	c.mu.Unlock()
	switch {
	case r.Do == "start" && r.Set != nil:
		s, err := c.start(ctx, r.Set)
		return more(s, err)
	case peer == nil:
		return answer{}, fmt.Errorf("%s: the peer is not started", r.Do)
	}
	switch r.Do {
	case "end":
		c.gate.open()
		return answer{}, peer.Close()
	case "connect":
		_, err := peer.Connect(ctx, r.Name)
		return answer{}, err
	case "collect":
		runtime.GC() // what pools hold is garbage at the second time
		runtime.GC()
		return answer{}, nil
	case "channels":
		return more(peer.Channels(), nil)
	case "open":
		e, err := peer.Open(ctx, channel.Name(r.Name))
		if err == nil {
			c.mu.Lock()
			c.ends[r.ID] = e
			c.mu.Unlock()
		}
		return more(r.ID, err)
	case "select":
		return c.choose(ctx, r)
	case "stop", "stopped", "go":
		return c.stop(ctx, r)
	case "spawn", "move", "wait", "tasklets":
		return c.tasklet(ctx, r)
	}
	e, err := c.end(r.Of)
	if err != nil {
		return answer{}, err
	}
	switch r.Do {
	case "send":
		return answer{}, e.Send(ctx, channel.Bytes(r.Value))
	case "receive":
		var box sink
		err := e.Receive(ctx, &box)
		return answer{Value: box.value}, first(err, box.err)
	case "close":
		return answer{}, e.Close(ctx)
	case "closed":
		return more(e.Closed(), nil)
	case "balance":
		n, err := e.Balance(ctx)
		return more(n, err)
	case "leave":
		return answer{}, e.Leave()
	}
	return answer{}, fmt.Errorf("%q: nobody knows how", r.Do)
}

// choose does one of several alternatives.
func (c *child) choose(ctx context.Context, r *request) (answer, error) {
	var list []channel.Alternative
	boxes := make([]sink, len(r.Among))
	for i, x := range r.Among {
		e, err := c.end(x.End)
		if err != nil {
			return more(-1, err)
		}
		a := channel.Alternative{End: e}
		if x.Send {
			a.Payload = channel.Bytes(x.Value)
		} else {
			a.Sink = &boxes[i]
		}
		list = append(list, a)
	}
	n, err := c.peer.Select(ctx, list, r.Wait)
	a, moreErr := more(n, nil)
	if n >= 0 {
		a.Value = boxes[n].value
		err = first(err, boxes[n].err)
	}
	return a, first(err, moreErr)
}

func (c *child) stop(ctx context.Context, r *request) (answer, error) {
	if r.Do == "stop" {
		s := c.gate.add(*r.Step)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stops[r.ID] = s
		return more(r.ID, nil)
	}
	c.mu.Lock()
	s := c.stops[r.Of]
	c.mu.Unlock()
	switch {
	case s == nil:
		return answer{}, fmt.Errorf("no stop %d", r.Of)
	case r.Do == "go":
		s.Go()
		return answer{}, nil
	}
	select {
	case <-s.reached:
		return answer{}, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

func (c *child) tasklet(ctx context.Context, r *request) (answer, error) {
	switch r.Do {
	case "tasklets":
		return more(c.peer.Tasklets(), nil)
	case "spawn":
		t, err := c.peer.Spawn(ctx, r.Value, r.Args...)
		if err != nil {
			return answer{}, err
		}
		return more(string(t.ID()), nil)
	}
	t, err := c.peer.Tasklet(r.Name)
	if err != nil {
		return answer{}, err
	}
	if r.Do == "move" {
		return answer{}, t.Move(ctx, r.Args[0])
	}
	status, err := t.Wait(ctx)
	return more(status, err)
}

// more is an answer that is a value.
func more(v any, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	text, err := json.Marshal(v)
	return answer{More: text}, err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A sink keeps a value as bytes.
type sink struct {
	value []byte
	err   error
}

func (s *sink) Accept(p channel.Payload) {
	b, err := p.Encode()
	s.value, s.err = append([]byte{}, b...), err
}
