package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/dstackless/dstackless/channel"
)

// A task is an order that waits, and the context in which it does. The client
// can stop it, and does so by being gone.
type task struct {
	order
	ctx  context.Context
	stop context.CancelFunc
}

// channel serves a client's use of one channel: it reads orders and answers
// them, one after another, until the client is done or gone. A value that the
// client did not confirm is kept for the next one that asks.
func (s *Server) channel(w http.ResponseWriter, r *http.Request) error {
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		return err
	}
	orders := json.NewDecoder(r.Body)
	var first order
	if err := orders.Decode(&first); err != nil || first.Op != opOpen {
		return fmt.Errorf("%w: want an order to open a channel", errMalformed)
	}
	ch, err := channel.Open[string](r.Context(), s.peer, channel.Name(first.Channel))
	if err != nil {
		return err
	}
	defer ch.Leave()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close") // listen may end by a deadline, which is the connection's
	w.WriteHeader(http.StatusOK)
	rc.Flush()

	tasks := make(chan task)
	go listen(r.Context(), orders, tasks)
	defer func() {
		rc.SetReadDeadline(time.Now()) // ends listen, if the client is still there
		for range tasks {
		}
	}()

	var unconfirmed []string // at most one
	defer func() {
		for _, v := range unconfirmed {
			s.left.put(ch.Name(), v)
		}
	}()
	for {
		var t task
		var ok bool
		select {
		case t, ok = <-tasks:
		case <-r.Context().Done():
		}
		if !ok {
			return nil
		}
		var res result
		var err error
		switch t.Op {
		case opTaken:
			unconfirmed = nil
			t.stop()
			continue
		case opSend:
			err = ch.Send(t.ctx, string(t.Value))
		case opReceive:
			var v string
			if v, err = s.left.receive(t.ctx, ch); err == nil {
				unconfirmed = append(unconfirmed, v)
				res.Value = []byte(v)
			}
		default:
			err = fmt.Errorf("%w: %q", errMalformed, t.Op)
		}
		t.stop()
		if err != nil {
			res.Code, res.Error = channel.Encode(cause(r.Context(), err))
		}
		body, err := marshal(res)
		if err != nil {
			return nil // the client hears that the connection ended
		}
		w.Write(body)
		rc.Flush()
	}
}

// listen reads orders until there are no more, and then closes tasks. What
// still waits then is withdrawn.
func listen(ctx context.Context, orders *json.Decoder, tasks chan<- task) {
	defer close(tasks)
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	stop := func() {}
	for {
		var o order
		if orders.Decode(&o) != nil {
			return
		}
		if o.Op == opStop {
			stop()
			continue
		}
		t := task{order: o}
		t.ctx, t.stop = context.WithCancel(ctx)
		stop = t.stop
		select {
		case tasks <- t:
		case <-ctx.Done():
			return
		}
	}
}
